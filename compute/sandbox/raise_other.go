//go:build !linux || portable

package sandbox

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	maxFiles    = 64        // open at once in a child
	maxFileSize = 256 << 20 // bytes of one file that a child writes
)

// raiseWalls puts up what a child can do itself on any system, and returns what
// stands.
func raiseWalls(birth) []string {
	for fd := responseFD + 1; fd < 1024; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd) // inherited: our own are marked to be closed at exec
		}
	}
	unix.Umask(0o077)
	_ = os.Chdir("/")
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19)
	for resource, limit := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: maxFiles, unix.RLIMIT_FSIZE: maxFileSize} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return nil
		}
	}
	return []string{wallLimits}
}

// settle, hurry and widen have nothing to do from outside.
func settle(int)     {}
func hurry(int)      {}
func widen(*os.File) {}
