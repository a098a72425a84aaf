package testnet

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// stopLimit is how long a process may take to end after SIGTERM: a node lets
	// work finish for ten seconds, and its services stop within ten more.
	stopLimit = 25 * time.Second
	tailLines = 15
	tailWidth = 400
)

// Process is one running command of the binary under test.
type Process struct {
	*Child

	t      testing.TB
	stdout output
	stderr output
}

// Exec starts a command of the binary in dir. It is ended with the test.
func Exec(t testing.TB, name, dir string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t}
	var err error
	p.Child, err = Start(Command{Name: name, Dir: dir, Argv: append([]string{Binary(t)}, args...), Stdout: &p.stdout, Stderr: &p.stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.clean)
	return p
}

// Stdout returns what it printed so far.
func (p *Process) Stdout() string { return p.stdout.String() }

// Stderr returns what it logged so far.
func (p *Process) Stderr() string { return p.stderr.String() }

// Exit waits for the process to end by itself and returns its exit code, -1
// after a signal.
func (p *Process) Exit(within time.Duration) int {
	p.t.Helper()
	if !p.EndsWithin(within) {
		p.t.Fatalf("%s still runs after %s%s", p.Name, within, p.Tail())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Term asks the process to end.
func (p *Process) Term() { p.t.Helper(); p.try(p.Signal(syscall.SIGTERM)) }

// Interrupt does what Ctrl-C does.
func (p *Process) Interrupt() { p.t.Helper(); p.try(p.Signal(syscall.SIGINT)) }

// Kill9 ends the process without giving it a word, and returns when it is gone.
func (p *Process) Kill9() { p.t.Helper(); p.try(p.Kill()) }

// Stop freezes the process until Cont, and returns when it is frozen.
func (p *Process) Stop() {
	p.t.Helper()
	if err := p.Freeze(); err != nil {
		p.t.Fatal(err)
	}
}

// Cont lets a frozen process go on.
func (p *Process) Cont() { p.t.Helper(); p.try(p.Thaw()) }

func (p *Process) try(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Error(err)
	}
}

// clean ends the process and judges its end.
func (p *Process) clean() {
	if err := p.End(); err != nil {
		p.t.Errorf("%v%s", err, p.Tail())
	}
	if line := alarm(p.Stderr()); line != "" {
		p.t.Errorf("%s panicked: %s%s", p.Name, line, p.Tail())
	}
	if p.t.Failed() {
		p.t.Logf("%s%s", p.Name, p.Tail())
	}
}

// alarm returns the first line that no healthy process prints.
func alarm(log string) string {
	for line := range strings.Lines(log) {
		if Alarm(line) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// Tail returns the last lines the process logged, to end a message with.
func (p *Process) Tail() string {
	lines := strings.Split(strings.TrimSpace(p.Stderr()), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	for i, line := range lines {
		lines[i] = line[:min(len(line), tailWidth)]
	}
	return "; its log ends:\n  " + strings.Join(lines, "\n  ")
}
