package compute

import (
	"fmt"
	"testing"
	"testing/fstest"
)

// sysfs is a file system with one line in each file.
func sysfs(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, content := range files {
		out[name] = &fstest.MapFile{Data: []byte(content + "\n")}
	}
	return out
}

// TestPowerOfLinux: batteries, mains and sensors as the kernel shows them.
//
// spec 0.17
func TestPowerOfLinux(t *testing.T) {
	const bat, ac, mouse = supplies + "/BAT0/", supplies + "/AC/", supplies + "/hid-mouse/"
	for name, c := range map[string]struct {
		files map[string]string
		want  Power
	}{
		"a server": {nil, Power{ChargePercent: -1}},
		"a laptop unplugged": {map[string]string{bat + "type": "Battery", bat + "status": "Discharging", bat + "capacity": "63", ac + "type": "Mains", ac + "online": "0"},
			Power{OnBattery: true, ChargePercent: 63}},
		"plugged, the battery still gives": {map[string]string{bat + "type": "Battery", bat + "status": "Discharging", bat + "capacity": "63", ac + "type": "Mains", ac + "online": "1"},
			Power{ChargePercent: 63}},
		"a full battery": {map[string]string{bat + "type": "Battery", bat + "status": "Full", bat + "capacity": "100"},
			Power{ChargePercent: 100}},
		"a mouse's battery is not the machine's": {map[string]string{mouse + "type": "Battery", mouse + "scope": "Device", mouse + "status": "Discharging", mouse + "capacity": "5"},
			Power{ChargePercent: -1}},
		"nonsense": {map[string]string{bat + "type": "Battery", bat + "capacity": "-7", zones + "/thermal_zone0/temp": "hot", zones + "/thermal_zone1/temp": "-273000", zones + "/thermal_zone2/temp": "65535000"},
			Power{ChargePercent: -1}},
		"the hottest sensor": {map[string]string{zones + "/thermal_zone0/temp": "48500", zones + "/thermal_zone1/temp": "71000"},
			Power{ChargePercent: -1, Celsius: 71}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := readSysfs(sysfs(c.files)); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestPowerOfManyProcessors: as many devices that cool as are looked at do not hide
// the one sensor, and what they say of themselves does not count.
func TestPowerOfManyProcessors(t *testing.T) {
	files := map[string]string{zones + "/thermal_zone0/temp": "91000"}
	for i := range maxDevices {
		files[fmt.Sprintf("%s/cooling_device%d/type", zones, i)] = "Processor"
		files[fmt.Sprintf("%s/cooling_device%d/temp", zones, i)] = "99000"
	}
	if got, want := readSysfs(sysfs(files)), (Power{ChargePercent: -1, Celsius: 91}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestPowerOfMacOS: what pmset prints with a battery, at the mains, and on a
// machine that has none.
func TestPowerOfMacOS(t *testing.T) {
	for name, c := range map[string]struct {
		out  string
		want Power
	}{
		"unplugged": {"Now drawing from 'Battery Power'\n -InternalBattery-0 (id=1234)\t87%; discharging; 5:11 remaining present: true\n", Power{OnBattery: true, ChargePercent: 87}},
		"plugged":   {"Now drawing from 'AC Power'\n -InternalBattery-0 (id=1234)\t100%; charged; 0:00 remaining present: true\n", Power{ChargePercent: 100}},
		"none":      {"Now drawing from 'AC Power'\n", Power{ChargePercent: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := parsePmset(c.out); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
