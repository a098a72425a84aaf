package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

// lastWish is how long an interrupted command takes to cancel its task.
const lastWish = 3 * time.Second

// guestExit is a program that ended with an exit code other than 0: the command's
// own, and nothing to tell.
type guestExit struct{ code int }

// Error implements error.
func (e *guestExit) Error() string { return fmt.Sprintf("the program ended with exit code %d", e.code) }

// guestCode is the exit code of a program as a process has it: 1 to 255, or 0.
func guestCode(code uint32) int {
	if code != 0 && code&0xff == 0 {
		return ExitFailed
	}
	return int(code & 0xff)
}

func (s *shell) wasmRun(c *ucli.Context) error {
	if !c.Args().Present() {
		return usagef("use tenzro wasm run FILE [ARGS...]", "FILE is missing")
	}
	t, err := s.wasmTask(c)
	if err != nil {
		return err
	}
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if _, err := wasm.Decode(data); err != nil { // as a node would, before anything is sent
		return err
	}
	run := s.runOnNetwork
	if c.Bool(flagLocal) {
		run = s.runHere
	}
	shown := s.newProgramOutput()
	raw, err := run(c, data, shown)
	if err != nil {
		return err
	}
	r, err := wasm.DecodeResult(raw)
	if err != nil {
		return err
	}
	return s.printProgram(c, r, shown)
}

// wasmTask is what the command line describes.
func (s *shell) wasmTask(c *ucli.Context) (wasm.Task, error) {
	t := wasm.Task{Function: c.String(flagFunction), Limits: wasm.Limits{Fuel: c.Int64(flagFuel), MemoryMB: c.Int64(flagMemory)}}
	var err error
	if t.Limits.TimeoutMS, err = milliseconds(c, flagTimeout); err != nil {
		return t, err
	}
	if t.Module, err = s.readModule(c.Args().First()); err != nil {
		return t, err
	}
	t.Args = quoted(c.Args().Tail())
	if t.Env, err = environment(c.StringSlice(flagEnv)); err != nil {
		return t, err
	}
	if t.Files, err = s.grantedFiles(c.StringSlice(flagFile)); err != nil {
		return t, err
	}
	if c.Args().First() != "-" && s.hasInput() {
		t.Stdin, err = s.readInput("-", input{"stdin", "input", core.MaxTaskBytes, "split the input over several tasks, or redirect it from /dev/null"})
	}
	return t, err
}

// quoted makes words of a command line those of a task.
func quoted(words []string) (all []json.RawMessage) {
	for _, word := range words {
		text, _ := json.Marshal(word) // of a string: never fails
		all = append(all, text)
	}
	return all
}

// hasInput reports whether somebody has given standard input something to read: a
// terminal and /dev/null have not.
func (s *shell) hasInput() bool {
	f, isFile := s.In.(*os.File)
	if !isFile {
		return s.In != nil
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice == 0
}

func environment(pairs []string) (map[string]string, error) {
	env := map[string]string{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usagef("write --env NAME=VALUE", "--env %.60q has no name and value", pair)
		}
		if _, twice := env[name]; twice {
			return nil, usagef("give each name one value", "--env names %.60q twice", name)
		}
		env[name] = value
	}
	return env, nil
}

func (s *shell) grantedFiles(pairs []string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, pair := range pairs {
		name, from, ok := strings.Cut(pair, "=")
		if !ok {
			name, from = filepath.Base(pair), pair
		}
		name = strings.TrimPrefix(path.Clean("/"+name), "/")
		if _, twice := files[name]; twice {
			return nil, usagef("give each file a name of its own: --file NAME=PATH", "--file names %.60q twice", "/"+name)
		}
		content, err := s.readInput(from, input{"--file", "file of --file", core.MaxTaskBytes, "split the input over several tasks"})
		if err != nil {
			return nil, err
		}
		files[name] = content
	}
	return files, nil
}

// runOnNetwork submits the program as a task, shows what it writes meanwhile, and
// waits for its result.
func (s *shell) runOnNetwork(c *ucli.Context, data json.RawMessage, shown *programOutput) (json.RawMessage, error) {
	const smaller = "strip debug information from the module, or split the input over several tasks"
	if len(data) > core.MaxTaskBytes { // what is uploaded counts, too
		return nil, tooLarge(len(data), smaller)
	}
	cl, err := s.connect(c)
	if err != nil {
		return nil, err
	}
	return s.submitProgram(c, cl, core.TaskSpec{Type: wasm.Type, Data: uploaded(c.Context, cl, data),
		Requirements: core.Requirements{MemoryMB: c.Int64(flagMemory)}, TimeoutMS: c.Duration(flagTimeout).Milliseconds()}, shown, smaller)
}

func tooLarge(size int, smaller string) error {
	return core.Errorf(core.Exhausted, "task", "the task has %d bytes with all its input; at most %d are allowed", size, core.MaxTaskBytes).
		WithHint(smaller)
}

// submitProgram submits the task of a program, shows what it writes meanwhile, and
// waits for its result; smaller says what to do when the task is too large.
func (s *shell) submitProgram(c *ucli.Context, cl *client.Client, spec core.TaskSpec, shown *programOutput, smaller string) (json.RawMessage, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	if len(text) > core.MaxTaskBytes {
		return nil, tooLarge(len(text), smaller)
	}
	status, err := cl.Submit(c.Context, text, c.Bool(flagReuse))
	if err != nil {
		return nil, err
	}
	stop := shown.listen(c.Context, cl, status.TaskID)
	result, err := awaitProgram(c.Context, cl, status.TaskID)
	failure := failureOf(result.Status, result.Failure)
	if err == nil && failure != nil { // there is no result that would have its last words
		stop(lastEvents)
	} else {
		stop(0)
	}
	switch {
	case c.Context.Err() != nil:
		return nil, s.cancelled(c, cl, status.TaskID)
	case err != nil:
		return nil, lostSight(status.TaskID, err)
	}
	return result.Result, failure
}

func awaitProgram(ctx context.Context, cl *client.Client, id core.TaskID) (core.TaskResult, error) {
	answer, err := poll(ctx, cl, id)
	if err != nil {
		return core.TaskResult{}, err
	}
	return client.Decode[core.TaskResult](answer)
}

// uploadFrom is from what size on, as base64, a module is uploaded once and named from
// then on.
const uploadFrom = 256 << 10

// uploaded returns the task with a large module named instead of carried, so that it
// is sent once and not with each run. A node that does not take it gets it the old way.
func uploaded(ctx context.Context, cl *client.Client, data json.RawMessage) json.RawMessage {
	var task struct {
		Module json.RawMessage `json:"module"`
	}
	var code []byte
	if json.Unmarshal(data, &task) != nil || len(task.Module) < uploadFrom || json.Unmarshal(task.Module, &code) != nil {
		return data
	}
	id := core.ObjectOf(code)
	if !cl.HasObject(ctx, id) {
		if _, err := cl.PutObject(ctx, code); err != nil {
			return data
		}
	}
	return bytes.Replace(data, task.Module, fmt.Appendf(nil, `{"object":%q}`, id), 1)
}

// lostSight tells of a task that was handed in and cannot be followed.
func lostSight(id core.TaskID, err error) error {
	return core.Errorf(core.KindOf(err), "wait", "task %s was submitted, but its result cannot be had: %w", id, err).
		WithHint("try again with: tenzro task result --wait " + string(id))
}

// cancelled ends the task of a command that was interrupted: nobody waits for what
// the program would print.
func (s *shell) cancelled(c *ucli.Context, cl *client.Client, id core.TaskID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context), lastWish)
	defer cancel()
	if _, err := cl.Cancel(ctx, id); err != nil {
		return core.Errorf(core.Conflict, "wait", "interrupted; task %s goes on", id).WithHint("end it with: tenzro task cancel " + string(id))
	}
	return core.Errorf(core.Conflict, "wait", "interrupted; task %s is cancelled", id)
}

// printProgram hands on what the program left: its output, its values, its files
// and its exit code.
func (s *shell) printProgram(c *ucli.Context, r wasm.Result, shown *programOutput) error {
	if err := shown.finish(r.Stdout, r.Stderr); err != nil {
		return err
	}
	for _, v := range r.Values {
		if _, err := fmt.Fprintf(s.Out, "%s\n", bytes.Trim(v, `"`)); err != nil {
			return err
		}
	}
	if err := s.keepFiles(c.String(flagDir), r.Files); err != nil {
		return err
	}
	return exitOf(r.ExitCode)
}

// exitOf makes the exit code of a program the command's own.
func exitOf(guest uint32) error {
	if code := guestCode(guest); code != ExitOK {
		return &guestExit{code}
	}
	return nil
}

// keepFiles writes what the program made below dir, and nowhere else, whatever the
// names and whatever links are there.
func (s *shell) keepFiles(dir string, files map[string][]byte) error {
	names := slices.Sorted(maps.Keys(files))
	if dir == "" {
		for _, name := range names {
			fmt.Fprintf(s.Err, "left /%s, %d bytes; keep it with --%s DIR\n", clean(name), len(files[name]), flagDir)
		}
		return nil
	}
	if err := os.MkdirAll(s.path(dir), 0o755); err != nil {
		return core.Errorf(core.Unavailable, "--dir", "making the directory: %w", err).WithHint("name a directory you may write to")
	}
	root, err := os.OpenRoot(s.path(dir))
	if err != nil {
		return core.Errorf(core.Unavailable, "--dir", "opening the directory: %w", err).WithHint("name a directory you may write to")
	}
	defer root.Close()
	for _, name := range names {
		err := root.MkdirAll(path.Dir(name), 0o755)
		if err == nil {
			err = root.WriteFile(name, files[name], 0o644)
		}
		if err != nil {
			return core.Errorf(core.Unavailable, "--dir", "writing %s: %w", clean(name), err).WithHint("check what is there already")
		}
	}
	return nil
}
