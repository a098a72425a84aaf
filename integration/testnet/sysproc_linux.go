package testnet

import (
	"os/exec"
	"syscall"
)

// ownGroup gives the child a process group, so that it can be told from others
// when looking for what was left behind, and lets the kernel kill it with the
// test's process.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
