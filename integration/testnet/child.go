package testnet

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Command says what a Child runs.
type Command struct {
	Name           string   // in messages
	Dir            string   // its working directory and its HOME
	Argv           []string // the program and its arguments
	Stdout, Stderr io.Writer
}

// Child is one running process with a group of its own. It knows of no test:
// what goes wrong is an error.
type Child struct {
	Name string

	cmd    *exec.Cmd
	done   chan struct{} // closed when it has ended
	killed atomic.Bool   // ended the hard way: its exit code means nothing
}

// Start runs a command. The caller ends it with End or Kill9.
func Start(c Command) (*Child, error) {
	child := &Child{Name: c.Name, done: make(chan struct{})}
	child.cmd = exec.Command(c.Argv[0], c.Argv[1:]...)
	child.cmd.Dir, child.cmd.Env = c.Dir, environment(c.Dir)
	child.cmd.Stdout, child.cmd.Stderr = c.Stdout, c.Stderr
	ownGroup(child.cmd)
	if err := child.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	go func() {
		defer close(child.done)
		_ = child.cmd.Wait() // the state says how it ended
	}()
	return child, nil
}

// environment keeps the settings of whoever runs the tests away from the node.
func environment(home string) []string {
	env := []string{"HOME=" + home}
	for _, kept := range os.Environ() {
		name, _, _ := strings.Cut(kept, "=")
		if name != "HOME" && name != "LOG_LEVEL" && !strings.HasPrefix(name, "TENZRO_") {
			env = append(env, kept)
		}
	}
	return env
}

// PID returns the process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Ended reports whether the process has ended.
func (c *Child) Ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// EndsWithin waits until the process has ended, and says whether it has.
func (c *Child) EndsWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.done:
		return true
	case <-timer.C:
		return false
	}
}

// Kill ends the process without giving it a word, and returns when it is gone.
func (c *Child) Kill() error {
	c.killed.Store(true)
	err := c.Signal(syscall.SIGKILL)
	<-c.done
	return err
}

// Freeze stops the process until Thaw, and returns when it is frozen.
func (c *Child) Freeze() error {
	if err := c.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(c.PID(), &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		return fmt.Errorf("%s did not stop: %w, status %v", c.Name, err, status)
	}
	return nil
}

// Thaw lets a frozen process go on.
func (c *Child) Thaw() error { return c.Signal(syscall.SIGCONT) }

// Signal reaches the whole group; to one that has ended it is nothing.
func (c *Child) Signal(s syscall.Signal) error {
	if c.Ended() {
		return nil
	}
	if err := syscall.Kill(-c.PID(), s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("sending %s to %s: %w", s, c.Name, err)
	}
	return nil
}

// End asks the process to end if it still runs, and judges how it did: code 0
// after SIGTERM within the limit of a node, and nothing left of its group.
func (c *Child) End() error {
	err := c.stop()
	if left := syscall.Kill(-c.PID(), 0); !errors.Is(left, syscall.ESRCH) {
		err = errors.Join(err, fmt.Errorf("%s left processes of its group %d behind (%v)", c.Name, c.PID(), left))
		_ = syscall.Kill(-c.PID(), syscall.SIGKILL)
	}
	return err
}

func (c *Child) stop() error {
	if c.Ended() {
		return nil
	}
	if err := errors.Join(c.Thaw(), c.Signal(syscall.SIGTERM)); err != nil {
		return err
	}
	if !c.EndsWithin(stopLimit) {
		return errors.Join(fmt.Errorf("%s ignores SIGTERM for %s", c.Name, stopLimit), c.Kill())
	}
	if !c.killed.Load() && !c.cmd.ProcessState.Success() {
		return fmt.Errorf("%s ended with %s after SIGTERM", c.Name, c.cmd.ProcessState)
	}
	return nil
}

// Alarm reports whether a line of a log is one that no healthy process prints.
func Alarm(line string) bool {
	for _, word := range []string{"panic", "fatal error:", "DATA RACE"} {
		if strings.Contains(line, word) {
			return true
		}
	}
	return false
}
