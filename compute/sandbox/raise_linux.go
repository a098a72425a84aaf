//go:build !portable

package sandbox

import (
	"os"

	"golang.org/x/sys/unix"
)

const (
	maxFiles    = 64        // open at once in a child
	maxFileSize = 256 << 20 // bytes of one file that a child writes
)

// raiseWalls puts up what a child can only do itself, before it hears of any job,
// and returns what stands.
func raiseWalls(b birth) []string {
	closeInherited()
	unix.Umask(0o077)
	_ = os.Chdir("/") // it is there already, unless the parent is of another version
	walls := []string{}
	if lowerLimits(b.Users) == nil {
		walls = append(walls, wallLimits)
	}
	if filterCalls(b.Confined) == nil {
		walls = append(walls, wallCalls)
	}
	return walls
}

// closeInherited closes what the parent had from its own parent and did not know
// of. What a Go program opens itself is marked to be closed at exec; so what is
// open here without the mark, beyond our own five, was inherited.
func closeInherited() {
	const looked = 1024
	for fd := responseFD + 1; fd < looked; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
	_ = unix.CloseRange(looked, 1<<31-1, 0) // nothing of ours is so high
}

func lowerLimits(threads bool) error {
	limits := map[int]uint64{
		unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: maxFiles, unix.RLIMIT_FSIZE: maxFileSize,
		unix.RLIMIT_MEMLOCK: 0, unix.RLIMIT_MSGQUEUE: 0,
	}
	if threads {
		limits[unix.RLIMIT_NPROC] = maxThreads
	}
	for resource, limit := range limits {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return err
		}
	}
	return nil
}
