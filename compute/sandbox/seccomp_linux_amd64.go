//go:build !portable

package sandbox

import "golang.org/x/sys/unix"

const (
	archAudit   = unix.AUDIT_ARCH_X86_64
	archForeign = 0x40000000 // numbers from here on are those of the x32 machine
	archStatAt  = unix.SYS_NEWFSTATAT
)

// archCalls are plain calls that newer machines do not have.
func archCalls() []uint32 {
	return []uint32{unix.SYS_ARCH_PRCTL, unix.SYS_EPOLL_WAIT, unix.SYS_POLL, unix.SYS_TIME, unix.SYS_GETRLIMIT}
}
