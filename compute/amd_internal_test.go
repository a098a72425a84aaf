package compute

import (
	"slices"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// TestAMDAccelerators: what the kernel tells of each device that the driver runs, other
// files of the driver aside.
func TestAMDAccelerators(t *testing.T) {
	const at = amdDriver + "/"
	for name, c := range map[string]struct {
		files map[string]string
		want  []core.Accelerator
	}{
		"no driver": {nil, nil},
		"two": {map[string]string{
			at + "bind": "", at + "module/version": "6",
			at + "0000:03:00.0/mem_info_vram_total": "17163091968", at + "0000:03:00.0/product_name": "AMD Instinct MI50/MI60",
			at + "0000:83:00.0/mem_info_vram_total": "25753026560", at + "0000:83:00.0/device": "0x744c",
		}, []core.Accelerator{{Vendor: "amd", Name: "AMD Instinct MI50/MI60", MemoryMB: 16368}, {Vendor: "amd", Name: "AMD GPU 744c", MemoryMB: 24560}}},
		"no size":     {map[string]string{at + "0000:03:00.0/product_name": "x"}, nil},
		"not a size":  {map[string]string{at + "0000:03:00.0/mem_info_vram_total": "much"}, nil},
		"absurd size": {map[string]string{at + "0000:03:00.0/mem_info_vram_total": "9223372036854775807"}, nil},
		"a name that is none": {map[string]string{at + "0000:03:00.0/mem_info_vram_total": "1073741824", at + "0000:03:00.0/product_name": "\x1b[2J",
			at + "0000:03:00.0/device": "0x1"}, []core.Accelerator{{Vendor: "amd", Name: "AMD GPU 1", MemoryMB: 1024}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := amdAccelerators(sysfs(c.files)); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
