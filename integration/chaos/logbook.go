package chaos

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"sync"

	"github.com/tenzro/tenzro/integration/testnet"
)

const (
	tailBytes    = 16 << 10 // of a node's log kept in memory
	alarmLines   = 30       // kept behind the first line of an alarm
	maxAlarms    = 200      // lines in all
	maxLogBytes  = 256 << 20
	partialBytes = 64 << 10 // of a line without an end
)

// logbook is what a node printed over all its lives: in a file, with its end in
// memory, and every panic noticed.
type logbook struct {
	mu      sync.Mutex
	file    *os.File
	written int
	tail    []byte
	partial []byte
	follow  int // lines still to keep behind an alarm
	alarms  []string
}

func newLogbook(path string) (*logbook, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return &logbook{file: f}, err
}

// Write implements io.Writer; beyond maxLogBytes only panics are kept.
func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, b...)
	l.tail = l.tail[max(0, len(l.tail)-tailBytes):]
	l.scan(b)
	if l.written += len(b); l.written > maxLogBytes {
		return len(b), nil
	}
	return l.file.Write(b)
}

func (l *logbook) scan(b []byte) {
	l.partial = append(l.partial, b...)
	for {
		line, rest, found := bytes.Cut(l.partial, []byte{'\n'})
		if !found {
			break
		}
		l.line(string(line))
		l.partial = rest
	}
	if len(l.partial) > partialBytes {
		l.line(string(l.partial))
		l.partial = nil
	}
	l.partial = bytes.Clone(l.partial) // lets go of what was read
}

func (l *logbook) line(s string) {
	alarm := testnet.Alarm(s)
	if alarm {
		l.follow = alarmLines
	}
	if (alarm || l.follow > 0) && len(l.alarms) < maxAlarms {
		l.alarms = append(l.alarms, s)
	}
	l.follow = max(0, l.follow-1)
}

// Alarms returns the lines of panics, each with what follows it.
func (l *logbook) Alarms() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.alarms...)
}

// Tail returns the end of the log.
func (l *logbook) Tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(l.tail)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n  ")
}

// Close implements io.Closer; closing twice is fine.
func (l *logbook) Close() error {
	if err := l.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
