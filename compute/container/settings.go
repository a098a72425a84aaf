package container

import (
	"maps"
	"math"
	"path"
	"slices"

	"github.com/tenzro/tenzro/compute/container/docker"
)

const (
	// FilesDir is where a program finds the files of its task.
	FilesDir = "/work"
	// ScratchDir is what a program may write to.
	ScratchDir = "/tmp"
	// scratchBytes bounds each of the directories in memory; all count as memory of the
	// container.
	scratchBytes = 64 << 20
	// scratchMode lets everybody write and nobody delete what is another's.
	scratchMode = 0o1777
	// nobody is the user and the group of every container, whatever its image says.
	nobody = "65534:65534"
	// label stands on everything that a node has an engine make; its value is the node's
	// id.
	label = "tenzro.node"
	// openFiles is how many files one process may have open.
	openFiles = 1024
	// spareSeconds is how much CPU time a process may have beyond what its task can use:
	// in time the node ends it.
	spareSeconds = 10
	// fewShares is the weight of a container where processors are short; what else runs
	// on the machine has 1024.
	fewShares = 256
	// firstToGo is how the kernel chooses when the machine runs out of memory.
	firstToGo = 1000
)

// spec is everything that a container is given. cpus is what the node has for it at
// most, files the volume with the files of the task, empty for none.
func spec(node string, t *Task, image docker.Image, cpus float64, files string) docker.Spec {
	return docker.Spec{
		Image: image.ID, Entrypoint: words(t.Command), Cmd: words(t.Args), Env: variables(t.Env), User: nobody,
		Labels:      map[string]string{label: node},
		AttachStdin: len(t.Stdin) > 0, OpenStdin: len(t.Stdin) > 0, StdinOnce: len(t.Stdin) > 0,
		AttachStdout: true, AttachStderr: true,
		Healthcheck: &docker.Healthcheck{Test: []string{"NONE"}},
		HostConfig: docker.HostConfig{
			NetworkMode: "none", IpcMode: "none", CgroupnsMode: "private", // PID, UTS: private by default
			ReadonlyRootfs: true, CapDrop: []string{"ALL"},
			SecurityOpt: []string{"no-new-privileges:true"}, // seccomp stays at the engine's profile
			Memory:      t.Limits.MemoryMB << 20, MemorySwap: t.Limits.MemoryMB << 20,
			NanoCPUs: int64(max(min(t.Limits.CPUs, cpus), MinCPUs) * 1e9), CPUShares: fewShares,
			PidsLimit: t.Limits.Pids, OomScoreAdj: firstToGo,
			Ulimits:   ulimits(t.Limits),
			LogConfig: docker.LogConfig{Type: "none"},
			Mounts:    mounts(image, files, true),
		},
	}
}

// ulimits bounds each process. The CPU time is that of the whole task: it ends what
// computes for ever when its node has died and does not come back.
func ulimits(l Limits) []docker.Ulimit {
	seconds := int64(math.Ceil(l.timeout().Seconds()*max(1, l.CPUs))) + spareSeconds
	return []docker.Ulimit{{Name: "nofile", Soft: openFiles, Hard: openFiles}, {Name: "core"}, {Name: "cpu", Soft: seconds, Hard: seconds}}
}

// holder is a container that is never started: through it the files of a task get into
// their volume, which the real one can only read.
func holder(node string, image docker.Image, files string) docker.Spec {
	t := Task{}
	t.Limits.fill()
	s := spec(node, &t, image, DefaultCPUs, "")
	s.Entrypoint, s.HostConfig.Mounts = []string{"/never"}, mounts(image, files, false)
	return s
}

// mounts is what stands in the file system besides the image: directories in memory for
// what may be written, which covers the volumes that the image asks for and that would
// be without a bound, and the files of the task.
func mounts(image docker.Image, files string, readOnly bool) (all []docker.Mount) {
	scratch := []string{ScratchDir}
	for _, dir := range slices.Sorted(maps.Keys(image.Config.Volumes)) {
		dir = path.Clean(dir) // as the engine takes it, however it is written
		if granted := dir == FilesDir && files != ""; !granted && !slices.Contains(scratch, dir) {
			scratch = append(scratch, dir)
		}
	}
	if files != "" {
		all = append(all, docker.Mount{Type: docker.MountVolume, Source: files, Target: FilesDir, ReadOnly: readOnly,
			VolumeOptions: &docker.VolumeOptions{NoCopy: true}})
	}
	for _, dir := range scratch {
		all = append(all, docker.Mount{Type: docker.MountTmpfs, Target: dir,
			TmpfsOptions: &docker.TmpfsOptions{SizeBytes: scratchBytes, Mode: scratchMode}})
	}
	return all
}

func variables(env map[string]string) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		all = append(all, name+"="+env[name])
	}
	return all
}
