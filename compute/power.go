package compute

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	supplies = "sys/class/power_supply"
	zones    = "sys/class/thermal"
	// maxDevices bounds how many batteries and sensors are looked at.
	maxDevices = 64
	// hottestReal is above any reading that a running machine gives, in degrees
	// Celsius: sensors that are not connected report nonsense.
	hottestReal = 150
	pmsetLimit  = 2 * time.Second
)

// Power is a machine's supply and heat, as far as its system tells.
type Power struct {
	// OnBattery says that the machine runs on a battery and is not being fed. A
	// machine without a battery never does.
	OnBattery bool
	// ChargePercent is the charge of the least charged battery; -1 without one.
	ChargePercent int
	// Celsius is the hottest sensor; 0 when the system shows none.
	Celsius float64
}

// ReadPower looks at this machine: Linux through sysfs, macOS through pmset for
// the battery. Elsewhere, and where nothing can be read, nothing is known.
func ReadPower(ctx context.Context) Power {
	if runtime.GOOS == "darwin" {
		ctx, cancel := context.WithTimeout(ctx, pmsetLimit)
		defer cancel()
		out, err := exec.CommandContext(ctx, "pmset", "-g", "batt").Output()
		if err != nil {
			return Power{ChargePercent: -1}
		}
		return parsePmset(string(out))
	}
	return readSysfs(os.DirFS("/"))
}

// readSysfs reads Documentation/ABI/testing/sysfs-class-power and
// sysfs-class-thermal of the Linux kernel.
func readSysfs(root fs.FS) Power {
	p := Power{ChargePercent: -1}
	fed, discharging := false, false
	for _, dir := range devices(root, supplies, "") {
		switch line(root, dir, "type") {
		case "Mains", "USB":
			fed = fed || line(root, dir, "online") == "1"
		case "Battery":
			if line(root, dir, "scope") == "Device" { // of a mouse or a keyboard
				continue
			}
			discharging = discharging || line(root, dir, "status") == "Discharging"
			if n, err := strconv.Atoi(line(root, dir, "capacity")); err == nil && n >= 0 && n <= 100 && (p.ChargePercent < 0 || n < p.ChargePercent) {
				p.ChargePercent = n
			}
		}
	}
	p.OnBattery = discharging && !fed
	for _, dir := range devices(root, zones, "thermal_zone") {
		if n, err := strconv.Atoi(line(root, dir, "temp")); err == nil && n > 0 && n <= hottestReal*1000 {
			p.Celsius = max(p.Celsius, float64(n)/1000)
		}
	}
	return p
}

// devices returns what is in dir under names that begin with prefix. Other names
// do not count: a machine has a cooling_device for each of its processors, and the
// kernel lists them before the first sensor.
func devices(root fs.FS, dir, prefix string) []string {
	entries, err := fs.ReadDir(root, dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && len(out) < maxDevices {
			out = append(out, path.Join(dir, e.Name()))
		}
	}
	return out
}

// line returns the content of a device's file without its end of line, empty
// when there is none.
func line(root fs.FS, dir, name string) string {
	b, err := fs.ReadFile(root, path.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// parsePmset reads what `pmset -g batt` prints: "Now drawing from 'Battery
// Power'" and a line with the charge for each battery.
func parsePmset(out string) Power {
	p := Power{ChargePercent: -1}
	p.OnBattery = strings.Contains(out, "drawing from 'Battery Power'")
	for _, m := range regexp.MustCompile(`(\d{1,3})%;`).FindAllStringSubmatch(out, maxDevices) {
		if n, err := strconv.Atoi(m[1]); err == nil && n <= 100 && (p.ChargePercent < 0 || n < p.ChargePercent) {
			p.ChargePercent = n
		}
	}
	return p
}
