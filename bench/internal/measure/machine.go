package measure

import (
	"os"
	"runtime"
	"strings"
)

// Machine says on what the figures were measured.
type Machine struct {
	Go    string `json:"go"`
	CPUs  int    `json:"cpus"`
	Model string `json:"model"`
}

// ThisMachine describes where the program runs.
func ThisMachine() Machine {
	return Machine{Go: runtime.Version(), CPUs: runtime.NumCPU(), Model: model()}
}

func model() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// Load returns the system's load averages as it tells them, "unknown" where it
// does not.
func Load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
