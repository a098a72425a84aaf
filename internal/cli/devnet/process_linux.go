package devnet

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the child into a process group of its own, so that a Ctrl-C
// meant for us does not reach it first, and lets the kernel kill it when the
// thread that starts it dies: Start keeps its goroutine on one thread for that.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
