//go:build unix && !linux

package devnet

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the child into a process group of its own, so that a Ctrl-C
// meant for us does not reach it first.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
