package compute

import (
	"io/fs"
	"strconv"
	"strings"

	"github.com/tenzro/tenzro/core"
)

// amdDriver has a directory for each device that the Linux driver runs.
const amdDriver = "sys/bus/pci/drivers/amdgpu"

// amdAccelerators reads what the kernel's amdgpu driver says of its devices: the files
// mem_info_vram_total and product_name of its documentation. One without memory of its
// own is none; one without a name, as most are, is called by its PCI id.
func amdAccelerators(root fs.FS) (list []core.Accelerator) {
	for _, dir := range devices(root, amdDriver, "") {
		bytes, err := strconv.ParseUint(line(root, dir, "mem_info_vram_total"), 10, 63)
		if err != nil || bytes>>20 == 0 || bytes>>20 > core.MaxMemoryMB {
			continue
		}
		name := line(root, dir, "product_name")
		if name == "" || len(name) > maxAcceleratorName || strings.ContainsFunc(name, unprintable) {
			name = "AMD GPU " + strings.TrimPrefix(line(root, dir, "device"), "0x")
		}
		list = append(list, core.Accelerator{Vendor: "amd", Name: strings.TrimSpace(name), MemoryMB: int64(bytes >> 20)})
	}
	return list
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }
