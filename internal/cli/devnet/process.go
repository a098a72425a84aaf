package devnet

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

const (
	outputFile = "output.log" // what a node printed, in its home
	tailBytes  = 4 << 10
	tailLines  = 5
)

// process is one running node. done is closed when it has ended; err and the
// process's state may be read after that.
type process struct {
	member
	home string
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// launch starts a node. The goroutine it leaves ends with the process.
func launch(program string, environ []string, p Plan, m member, bootstrap string) (*process, error) {
	home := p.homeOf(m)
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, core.Errorf(core.Unavailable, "devnet", "creating the home of %s: %w", m.name, err).
			WithHint("name a directory you may write to with --home")
	}
	// A file of an earlier run would be taken for this one's.
	if err := os.Remove(filepath.Join(home, client.RuntimeFile)); err != nil && !os.IsNotExist(err) {
		return nil, core.Errorf(core.Unavailable, "devnet", "cleaning the home of %s: %w", m.name, err)
	}
	output, err := os.OpenFile(filepath.Join(home, outputFile), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, core.Errorf(core.Unavailable, "devnet", "opening the output of %s: %w", m.name, err)
	}
	defer output.Close()
	cmd := exec.Command(program, p.arguments(m, bootstrap)...)
	cmd.Dir, cmd.Env = home, environment(environ)
	cmd.Stdout, cmd.Stderr = output, output
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, core.Errorf(core.Unavailable, "devnet", "starting %s: %w", m.name, err)
	}
	one := &process{member: m, home: home, cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(one.done)
		one.err = cmd.Wait()
	}()
	return one, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended reports whether the process has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// exitError says how the process ended, with the last lines it printed.
func (p *process) exitError() error {
	how := "with exit code 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return core.Errorf(core.Unavailable, "devnet", "node %s ended (%s)%s", p.name, how, p.lastWords()).
		WithHint("read " + filepath.Join(p.home, outputFile))
}

// lastWords returns the end of what the node printed, as the end of a message.
func (p *process) lastWords() string {
	lines := tail(filepath.Join(p.home, outputFile))
	if len(lines) == 0 {
		return ""
	}
	return "; its last words:\n  " + strings.Join(lines, "\n  ")
}

func tail(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return []string{fmt.Sprintf("(its output cannot be read: %v)", err)}
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err == nil && size > tailBytes {
		_, err = f.Seek(-tailBytes, io.SeekEnd)
		if err != nil {
			return nil
		}
	} else if _, err = f.Seek(0, io.SeekStart); err != nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(f, tailBytes))
	if err != nil {
		return nil
	}
	var lines []string
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, string(line))
		}
	}
	return lines[max(0, len(lines)-tailLines):]
}
