package container

import (
	"context"
	"errors"
	"strings"

	"github.com/tenzro/tenzro/compute/container/docker"
	"github.com/tenzro/tenzro/core"
)

// Host is an engine that keeps every limit there is here, and the images that it has of
// those that are allowed.
type Host struct {
	Version string   // of the engine
	Walls   []string // those that not every engine has: rootless, userns, apparmor, selinux
	Missing map[string]error

	engine *docker.Client
	arch   string // as images name it
	cpus   int
	images map[string]Ref // by digest
}

// Find asks the engine behind socket for what it can do and which images it has. An
// image that is missing or wrong is in Missing, by what the list calls it; an error is an
// engine that cannot be used. Close ends what is returned.
func Find(ctx context.Context, socket string, images Images) (*Host, error) {
	engine, v, err := docker.Open(ctx, socket)
	if err != nil {
		return nil, err
	}
	h := &Host{Version: v.Version, Missing: map[string]error{}, engine: engine, arch: v.Arch, images: map[string]Ref{}}
	info, err := engine.Info(ctx)
	if err == nil {
		err = fit(info)
	}
	if err != nil {
		engine.Close()
		return nil, err
	}
	h.cpus = max(info.CPUs, 1)
	for _, option := range []string{"rootless", "userns", "apparmor", "selinux"} {
		if _, has := info.Option(option); has {
			h.Walls = append(h.Walls, option)
		}
	}
	for _, ref := range images {
		if _, err := h.look(ctx, ref); err != nil {
			h.Missing[ref.String()] = err
		} else {
			h.images[ref.Digest] = ref
		}
	}
	return h, nil
}

// Close drops the connections to the engine.
func (h *Host) Close() { h.engine.Close() }

// look returns an allowed image as the engine has it now.
func (h *Host) look(ctx context.Context, ref Ref) (docker.Image, error) {
	image, err := h.engine.Image(ctx, ref.String())
	if errors.Is(err, core.NotFound) {
		return image, core.Errorf(core.NotFound, "image", "the engine does not have it")
	}
	if err != nil {
		return image, err
	}
	if err := ref.is(image, h.arch); err != nil {
		return image, core.Errorf(core.Corrupt, "image", "%w", err)
	}
	return image, nil
}

// fit reports what an engine lacks to hold a container.
func fit(i docker.Info) error {
	var lacks []string
	profile, filters := i.Option("seccomp")
	for _, need := range []struct {
		what string
		has  bool
	}{
		{"Linux containers", i.OSType == "linux"},
		{"limits of memory", i.MemoryLimit},
		{"limits of swap", i.SwapLimit},
		{"limits of processes", i.PidsLimit},
		{"limits of CPU time", i.CPUQuota},
		{"filter of system calls (seccomp)", filters && !strings.Contains(profile, "unconfined")},
	} {
		if !need.has {
			lacks = append(lacks, need.what)
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return core.Errorf(core.Unsupported, "engine", "the container engine has no %s, so nothing is run in it", strings.Join(lacks, ", no ")).
		WithHint("use an engine on a kernel with control groups, memory and swap included, and leave its seccomp profile on")
}
