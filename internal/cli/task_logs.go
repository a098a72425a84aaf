package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

const (
	flagFollow  = "follow"
	flagSubtask = "subtask"
	flagStdout  = "stdout"
	flagStderr  = "stderr"

	// longestLine is what a line of one of several subtasks may have before it is shown
	// in parts.
	longestLine = 64 << 10
)

const taskLogsHelp = `Prints what the program of a running task has written last; with -f also what it goes
on to write, until it ends. Standard output and error are those of the program. Of a
task that has ended they are taken from its result, if that is one program's.

Several subtasks write lines with their number in front; --subtask chooses one. The
exit code tells whether the output could be had, not how the task ended.`

func (s *shell) taskLogsCommand() *ucli.Command {
	return &ucli.Command{Name: "logs", Usage: "show what a task writes while it runs", ArgsUsage: "ID", Description: taskLogsHelp,
		Flags: nodeFlags(
			&ucli.BoolFlag{Name: flagFollow, Aliases: []string{"f"}, Usage: "go on until the task has ended"},
			&ucli.IntFlag{Name: flagSubtask, Usage: "only subtask `N`, from 0"},
			&ucli.BoolFlag{Name: flagStdout, Usage: "only standard output"},
			&ucli.BoolFlag{Name: flagStderr, Usage: "only standard error"},
		), Action: s.taskLogs}
}

func (s *shell) taskLogs(c *ucli.Context) error {
	args, err := arguments(c, "ID")
	if err != nil {
		return err
	}
	id, err := core.ParseTaskID(args[0])
	if err != nil {
		return usagef("`tenzro task list` shows the ids this node knows", "%v", err)
	}
	q := core.OutputQuery{Follow: c.Bool(flagFollow)}
	if n := c.Int(flagSubtask); c.IsSet(flagSubtask) {
		if n < 0 || n >= core.MaxParallelism {
			return usagef("`tenzro task get ID` shows how many there are", "--subtask is %d; it must be 0 to %d", n, core.MaxParallelism-1)
		}
		q.Subtask = &n
	}
	switch out, err := c.Bool(flagStdout), c.Bool(flagStderr); {
	case out && !err:
		q.Stream = core.Stdout
	case err && !out:
		q.Stream = core.Stderr
	}
	cl, err := s.connect(c)
	if err != nil {
		return err
	}
	l := &logs{s: s, q: q, streams: map[logKey]*logStream{}}
	if err := cl.Output(c.Context, id, q, l.take); err != nil {
		return err
	}
	return l.end(c, cl, id)
}

// logs shows the output of a task: as it is of one subtask, in lines of several.
type logs struct {
	s       *shell
	q       core.OutputQuery
	task    core.OutputEvent // the last that told of the task itself
	streams map[logKey]*logStream
}

type logKey struct {
	subtask int
	stream  core.Stream
}

// logStream is one stream of one subtask.
type logStream struct {
	to     io.Writer
	label  string // in front of each line; empty for bytes as they are
	line   []byte // not shown yet
	n      int64  // bytes seen
	broken bool   // some are missing, or of another attempt
}

func (l *logs) take(e core.OutputEvent) error {
	switch {
	case e.Event == core.OutputTask || e.Event == core.OutputEnd:
		l.task = e
	case e.Subtask == nil:
	case e.Event == core.OutputRestart:
		fmt.Fprintf(l.s.Err, "tenzro: subtask %d begins again: attempt %d\n", *e.Subtask, e.Attempt)
		for key, of := range l.streams {
			if key.subtask != *e.Subtask {
				continue
			}
			if of.n, of.broken = 0, true; len(of.line) > 0 { // half a line of the attempt before
				if err := of.flush(len(of.line)); err != nil {
					return err
				}
			}
		}
	case e.Event == core.OutputData && e.Offset != nil:
		return l.stream(*e.Subtask, e.Stream).take(*e.Offset, e.Data, l.s.Err)
	}
	return nil
}

func (l *logs) stream(subtask int, s core.Stream) *logStream {
	key := logKey{subtask, s}
	of := l.streams[key]
	if of == nil {
		of = &logStream{to: l.s.Out}
		if s == core.Stderr {
			of.to = l.s.Err
		}
		if l.q.Subtask == nil && l.task.Subtasks > 1 {
			of.label = fmt.Sprintf("[%d] ", subtask)
		}
		l.streams[key] = of
	}
	return of
}

// take shows the bytes at an offset; what is missing before is told to note.
func (of *logStream) take(offset int64, data []byte, note io.Writer) error {
	if offset > of.n {
		fmt.Fprintf(note, "tenzro: %d bytes before this are not kept any more\n", offset-of.n)
		of.n, of.broken = offset, true
	}
	data = data[min(of.n-offset, int64(len(data))):]
	of.n += int64(len(data))
	return of.write(data)
}

func (of *logStream) write(data []byte) error {
	if of.label == "" {
		_, err := of.to.Write(data)
		return err
	}
	of.line = append(of.line, data...)
	for {
		end := bytes.IndexByte(of.line, '\n')
		if end < 0 && len(of.line) < longestLine {
			return nil
		}
		if end < 0 {
			end = len(of.line) - 1
		}
		if err := of.flush(end + 1); err != nil {
			return err
		}
	}
}

// flush shows the first n bytes of what waits as a line.
func (of *logStream) flush(n int) error {
	line := append([]byte(of.label), of.line[:n]...)
	of.line = of.line[n:]
	if line[len(line)-1] != '\n' {
		line = append(line, '\n')
	}
	_, err := of.to.Write(line)
	return err
}

// end shows what is left: half lines, and of one program that has ended what only its
// result has.
func (l *logs) end(c *ucli.Context, cl *client.Client, id core.TaskID) error {
	for _, of := range l.streams {
		if len(of.line) > 0 {
			if err := of.flush(len(of.line)); err != nil {
				return err
			}
		}
	}
	switch {
	case !l.task.Status.Final():
		return nil
	case l.task.Status != core.TaskCompleted:
		fmt.Fprintf(l.s.Err, "tenzro: the task is %s; see: tenzro task get %s\n", clean(string(l.task.Status)), id)
		return nil
	case l.task.Subtasks > 1:
		fmt.Fprintf(l.s.Err, "tenzro: the task is completed; see: tenzro task result %s\n", id)
		return nil
	}
	return l.rest(c, cl, id)
}

// rest shows what the result of a program has beyond what was shown.
func (l *logs) rest(c *ucli.Context, cl *client.Client, id core.TaskID) error {
	answer, err := cl.Result(c.Context, id, 0)
	if err != nil {
		return err
	}
	result, err := client.Decode[core.TaskResult](answer)
	if err != nil {
		return err
	}
	r, err := wasm.DecodeResult(result.Result)
	if err != nil { // of a map, for example
		fmt.Fprintf(l.s.Err, "tenzro: the task is completed; see: tenzro task result %s\n", id)
		return nil
	}
	return errors.Join(l.restOf(core.Stderr, r.Stderr, id), l.restOf(core.Stdout, r.Stdout, id))
}

func (l *logs) restOf(s core.Stream, all []byte, id core.TaskID) error {
	of := l.stream(0, s)
	switch {
	case l.q.Stream != "" && l.q.Stream != s:
		return nil
	case of.broken || of.n > int64(len(all)):
		fmt.Fprintf(l.s.Err, "tenzro: not all of %s was shown; see: tenzro task result %s\n", s, id)
		return nil
	}
	return of.write(all[of.n:])
}
