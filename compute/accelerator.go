package compute

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
)

// Bounds of what nvidia-smi may say. The program is somebody else's, and may be
// anything that carries the name.
const (
	acceleratorTimeout  = 2 * time.Second
	maxAccelerators     = 64
	maxAcceleratorName  = 128
	maxAcceleratorBytes = 64 << 10
)

// findAccelerators asks nvidia-smi and looks below root for what AMD's driver tells.
// A machine without either has none; a broken nvidia-smi shows none of its own, and the
// note says why.
func findAccelerators(ctx context.Context, root fs.FS) (list []core.Accelerator, note string) {
	list, note = nvidiaAccelerators(ctx)
	return append(list, amdAccelerators(root)...), note
}

func nvidiaAccelerators(ctx context.Context) (list []core.Accelerator, note string) {
	bin, err := exec.LookPath("nvidia-smi")
	if err != nil {
		return []core.Accelerator{}, ""
	}
	out, err := query(ctx, bin)
	if err == nil {
		list, err = parseAccelerators(out)
	}
	if err != nil {
		return []core.Accelerator{}, fmt.Sprintf("accelerators not used: %v", err)
	}
	return list, ""
}

func query(ctx context.Context, bin string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, acceleratorTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
	cmd.WaitDelay = 100 * time.Millisecond // a grandchild may hold the pipe
	out := &capped{left: maxAcceleratorBytes}
	cmd.Stdout = out
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("nvidia-smi did not answer within %s", acceleratorTimeout)
	case err != nil:
		return nil, fmt.Errorf("nvidia-smi failed: %w", err)
	}
	return out.Bytes(), nil
}

// capped is a buffer that fails instead of growing past its limit.
type capped struct {
	bytes.Buffer
	left int
}

// Write implements io.Writer.
func (c *capped) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		return 0, errors.New("output is too long")
	}
	return c.Buffer.Write(p)
}

// parseAccelerators reads lines of "name, MiB". Any line of another form makes
// the whole answer invalid.
func parseAccelerators(out []byte) ([]core.Accelerator, error) {
	text := strings.TrimRight(string(out), "\r\n")
	list := []core.Accelerator{}
	if text == "" {
		return list, nil
	}
	for _, line := range strings.Split(text, "\n") {
		if len(list) == maxAccelerators {
			return nil, fmt.Errorf("nvidia-smi lists more than %d accelerators", maxAccelerators)
		}
		a, err := parseAccelerator(strings.TrimSuffix(line, "\r"))
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

func parseAccelerator(line string) (core.Accelerator, error) {
	cut := strings.LastIndex(line, ", ")
	if cut < 1 || cut > maxAcceleratorName || strings.ContainsFunc(line, unprintable) {
		return core.Accelerator{}, fmt.Errorf("nvidia-smi answered %.60q, not a name and a size", line)
	}
	name, size := line[:cut], line[cut+2:]
	if size == "[N/A]" || size == "[Not Supported]" { // shares the machine's memory
		return core.Accelerator{Vendor: "nvidia", Name: name}, nil
	}
	n, err := strconv.ParseUint(size, 10, 32)
	if err != nil || n > core.MaxMemoryMB {
		return core.Accelerator{}, fmt.Errorf("nvidia-smi gives %.20q as the memory of %.60q", size, name)
	}
	return core.Accelerator{Vendor: "nvidia", Name: name, MemoryMB: int64(n)}, nil
}
