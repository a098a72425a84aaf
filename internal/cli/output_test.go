package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/core"
)

// piece is an event of output.
func piece(subtask int, s core.Stream, offset int64, text string) core.OutputEvent {
	return core.OutputEvent{Event: core.OutputData, Subtask: &subtask, Attempt: 1, Stream: s, Offset: &offset, Data: []byte(text)}
}

func restart(subtask int) core.OutputEvent {
	return core.OutputEvent{Event: core.OutputRestart, Subtask: &subtask, Attempt: 2}
}

func taskIs(e core.OutputEventName, s core.TaskState, subtasks int) core.OutputEvent {
	return core.OutputEvent{Event: e, TaskID: "task-1", Status: s, Subtasks: subtasks}
}

// screen is where a command writes; it calls full when so many bytes have come.
type screen struct {
	mu       sync.Mutex
	out, err bytes.Buffer
	want     int
	full     func()
}

type screenPart struct {
	*screen
	to *bytes.Buffer
}

func (p screenPart) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to.Write(b)
	if p.full != nil && p.out.Len()+p.err.Len() >= p.want {
		p.full()
		p.full = nil
	}
	return len(b), nil
}

// command runs a command against a node and returns what it wrote.
func command(t *testing.T, f *fakeNode, args ...string) (out, errs string, err error) {
	t.Helper()
	s := &screen{}
	err = s.command(t, f, args...)
	return s.out.String(), s.err.String(), err
}

func (on *screen) command(t *testing.T, f *fakeNode, args ...string) error {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.wasm"), wasmtest.Module(t, `(module (func (export "_start")))`), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{programName, args[0], args[1], "--api", f.serve(t, api.Config{})}, args[2:]...)
	s := &shell{Process{Dir: dir, Out: screenPart{on, &on.out}, Err: screenPart{on, &on.err}, Environ: []string{"HOME=" + dir}, Args: args}}
	return s.run(t.Context())
}

func programResult(t *testing.T, stdout, stderr string) json.RawMessage {
	t.Helper()
	raw, err := wasm.Result{Stdout: []byte(stdout), Stderr: []byte(stderr), ExitCode: 7}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestRunShowsOutput: a program's output is shown before its result is there, each
// byte once, whatever became of attempts and of bytes on the way.
func TestRunShowsOutput(t *testing.T) {
	for _, c := range []struct {
		name     string
		live     int // bytes that are shown before there is a result
		events   []core.OutputEvent
		out, err string
	}{
		{"nothing is heard", 0, nil, "one\ntwo\n", "oops\n"},
		{"all is heard", 13, []core.OutputEvent{piece(0, core.Stdout, 0, "one\n"), piece(0, core.Stderr, 0, "oops\n"), piece(0, core.Stdout, 4, "two\n")}, "one\ntwo\n", "oops\n"},
		{"a part is heard", 3, []core.OutputEvent{piece(0, core.Stdout, 0, "one")}, "one\ntwo\n", "oops\n"},
		{"a gap", 1, []core.OutputEvent{piece(0, core.Stdout, 0, "o"), piece(0, core.Stdout, 4, "two\n")}, "one\ntwo\n", "oops\n"},
		{"what is known comes again", 6, []core.OutputEvent{piece(0, core.Stdout, 0, "one\n"), piece(0, core.Stdout, 2, "e\ntw")}, "one\ntwo\n", "oops\n"},
		{"another attempt writes the same", 8, []core.OutputEvent{piece(0, core.Stdout, 0, "one\n"), restart(0), piece(0, core.Stdout, 0, "one\ntwo\n")}, "one\ntwo\n", "oops\n"},
		{"another attempt writes something else", 8, []core.OutputEvent{piece(0, core.Stdout, 0, "uno\n"), restart(0), piece(0, core.Stdout, 0, "one\ntwo\n")},
			"uno\ntwo\none\ntwo\n", "oops\n\ntenzro: the stdout above is of an attempt that does not count; the result has this one:\n"},
		{"more than there is", 11, []core.OutputEvent{piece(0, core.Stderr, 0, "oops\nagain\n")}, "one\ntwo\n",
			"oops\nagain\n\ntenzro: the stderr above is of an attempt that does not count; the result has this one:\noops\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeNode()
			f.value, f.hold = programResult(t, "one\ntwo\n", "oops\n"), make(chan struct{})
			on := &screen{want: c.live, full: func() { close(f.hold) }}
			if c.live == 0 {
				on.full()
				on.full = nil
			}
			f.output = func(q core.OutputQuery, tell func(core.OutputEvent) error) error {
				for _, e := range append([]core.OutputEvent{taskIs(core.OutputTask, core.TaskRunning, 1)}, c.events...) {
					if err := tell(e); err != nil {
						return err
					}
				}
				return tell(taskIs(core.OutputEnd, core.TaskCompleted, 1))
			}
			err := on.command(t, f, "wasm", "run", "p.wasm")
			if out, errs := on.out.String(), on.err.String(); out != c.out || errs != c.err || exitCode(err) != 7 {
				t.Errorf("%q, %q, %v", out, errs, err)
			}
		})
	}
}

// TestRunWithoutOutput: a node that cannot tell what a program writes is no obstacle.
func TestRunWithoutOutput(t *testing.T) {
	f := newFakeNode()
	f.value = programResult(t, "one\n", "")
	if out, _, err := command(t, f, "wasm", "run", "p.wasm"); out != "one\n" || exitCode(err) != 7 {
		t.Errorf("%q, %v", out, err)
	}
}

// TestTaskLogs: what running tasks write, and how it is told apart.
func TestTaskLogs(t *testing.T) {
	for _, c := range []struct {
		name     string
		args     []string
		events   []core.OutputEvent
		value    json.RawMessage
		out, err string
	}{
		{"what is there", nil, []core.OutputEvent{taskIs(core.OutputTask, core.TaskRunning, 1), piece(0, core.Stdout, 0, "a\nb"), piece(0, core.Stderr, 0, "c")}, nil, "a\nb", "c"},
		{"not all is kept", nil, []core.OutputEvent{taskIs(core.OutputTask, core.TaskRunning, 1), piece(0, core.Stdout, 5, "a\n")}, nil, "a\n", "tenzro: 5 bytes before this are not kept any more\n"},
		{"several subtasks", nil, []core.OutputEvent{taskIs(core.OutputTask, core.TaskRunning, 12), piece(3, core.Stdout, 0, "a\nb"), piece(11, core.Stderr, 0, "c\n"), piece(3, core.Stdout, 3, "B\nd")},
			nil, "[3] a\n[3] bB\n[3] d\n", "[11] c\n"},
		{"one of several", []string{"--subtask", "3"}, []core.OutputEvent{taskIs(core.OutputTask, core.TaskRunning, 12), piece(3, core.Stdout, 0, "a\nb")}, nil, "a\nb", ""},
		{"another attempt", []string{"-f"}, []core.OutputEvent{taskIs(core.OutputTask, core.TaskRunning, 1), piece(0, core.Stdout, 0, "a\n"), restart(0), piece(0, core.Stdout, 0, "a\nb\n"), taskIs(core.OutputEnd, core.TaskCompleted, 1)},
			programResult(t, "a\nb\n", ""), "a\na\nb\n", "tenzro: subtask 0 begins again: attempt 2\ntenzro: not all of stdout was shown; see: tenzro task result task-1\n"},
		{"the end has more", []string{"-f"}, []core.OutputEvent{taskIs(core.OutputTask, core.TaskRunning, 1), piece(0, core.Stdout, 0, "a\n"), taskIs(core.OutputEnd, core.TaskCompleted, 1)},
			programResult(t, "a\nb\n", "c\n"), "a\nb\n", "c\n"},
		{"it has ended", nil, []core.OutputEvent{taskIs(core.OutputTask, core.TaskCompleted, 1)}, programResult(t, "a\n", "c\n"), "a\n", "c\n"},
		{"its errors only", []string{"--stderr"}, []core.OutputEvent{taskIs(core.OutputTask, core.TaskCompleted, 1)}, programResult(t, "a\n", "c\n"), "", "c\n"},
		{"a map has ended", nil, []core.OutputEvent{taskIs(core.OutputTask, core.TaskCompleted, 2)}, nil, "", "tenzro: the task is completed; see: tenzro task result task-1\n"},
		{"a map of one part has ended", nil, []core.OutputEvent{taskIs(core.OutputTask, core.TaskCompleted, 1)}, nil, "", "tenzro: the task is completed; see: tenzro task result task-1\n"},
		{"it failed", []string{"-f"}, []core.OutputEvent{taskIs(core.OutputTask, core.TaskRunning, 1), piece(0, core.Stderr, 0, "c\n"), taskIs(core.OutputEnd, core.TaskFailed, 1)},
			nil, "", "c\ntenzro: the task is failed; see: tenzro task get task-1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeNode()
			f.value = c.value
			if _, err := f.Submit(t.Context(), core.TaskSpec{Type: vector.Type, Data: json.RawMessage(`{"operations":["sum"]}`)}, ""); err != nil {
				t.Fatal(err)
			}
			var asked core.OutputQuery
			f.output = func(q core.OutputQuery, tell func(core.OutputEvent) error) (err error) {
				asked = q
				for i := 0; i < len(c.events) && err == nil; i++ {
					err = tell(c.events[i])
				}
				return err
			}
			out, errs, err := command(t, f, append(append([]string{"task", "logs"}, c.args...), "task-1")...)
			if out != c.out || errs != c.err || err != nil {
				t.Errorf("%q, %q, %v", out, errs, err)
			}
			line := strings.Join(c.args, " ")
			if asked.Follow != (line == "-f") || (asked.Subtask != nil) != strings.Contains(line, "--subtask") || (asked.Stream == core.Stderr) != (line == "--stderr") {
				t.Errorf("asked for %+v", asked)
			}
		})
	}
}

// TestNoLogs: a task that writes nothing, and a wrong command line, say so.
func TestNoLogs(t *testing.T) {
	if _, _, err := command(t, newFakeNode(), "task", "logs", "-f", "task-1"); !errors.Is(err, core.NotFound) || !strings.Contains(err.Error(), "write no output") || exitCode(err) != ExitFailed {
		t.Error(err)
	}
	for _, args := range [][]string{{"task", "logs"}, {"task", "logs", "a/b"}, {"task", "logs", "--subtask", "-1", "t"}, {"task", "logs", "--subtask", "4096", "t"}} {
		if _, _, err := command(t, newFakeNode(), args...); exitCode(err) != ExitUsage {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// TestLogsAreTakenUp: a stream that breaks off is taken up where it was.
func TestLogsAreTakenUp(t *testing.T) {
	f := newFakeNode()
	var mu sync.Mutex
	var after []string
	f.output = func(q core.OutputQuery, tell func(core.OutputEvent) error) error {
		mu.Lock()
		defer mu.Unlock()
		after = append(after, q.After.String())
		first := piece(0, core.Stdout, int64(len(after)-1), string(rune('a'+len(after)-1)))
		first.Cursor = core.OutputCursor{0: {Run: 1, Stdout: int64(len(after))}}
		if err := errors.Join(tell(taskIs(core.OutputTask, core.TaskRunning, 1)), tell(first)); err != nil || len(after) < 3 {
			return err
		}
		return tell(taskIs(core.OutputEnd, core.TaskCancelled, 1))
	}
	out, _, err := command(t, f, "task", "logs", "-f", "task-1")
	if out != "abc" || err != nil || strings.Join(after, " ") != " 0:1:1:0 0:1:2:0" {
		t.Errorf("%q, %v, asked behind %q", out, err, after)
	}
}

// TestLongLines of one of several subtasks are shown in parts: a program without line
// breaks takes no memory.
func TestLongLines(t *testing.T) {
	var out bytes.Buffer
	of := &logStream{to: &out, label: "[1] "}
	for range 100 {
		if err := of.write(make([]byte, longestLine/2+1)); err != nil {
			t.Fatal(err)
		}
	}
	if len(of.line) > longestLine || out.Len() < 99*longestLine/2 {
		t.Errorf("%d bytes wait, %d were shown", len(of.line), out.Len())
	}
}
