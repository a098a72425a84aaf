//go:build !portable

package sandbox

import "golang.org/x/sys/unix"

const (
	archAudit   = unix.AUDIT_ARCH_AARCH64
	archForeign = 0x40000000 // no call has such a number
	archStatAt  = unix.SYS_NEWFSTATAT
)

// archCalls are plain calls that other machines do not have: none.
func archCalls() []uint32 { return nil }
