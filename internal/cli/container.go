package cli

import (
	"encoding/json"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/core"
)

const containerRunHelp = `IMAGE is named by its digest, which docker inspect shows: name@sha256:<64 hex
digits>, or sha256:<64 hex digits> for the id of an image that was built on the
worker. Workers run the images that their operators allow. What follows are the
program's arguments; standard input is passed on unless it is a terminal:

   tenzro container run tools/wc@sha256:5f5e... -- -l < words.txt

Standard output and error are those of the program, and so is the exit code. Flags
of the program stand behind "--".`

const (
	flagCommand = "command"
	flagCPUs    = "cpus"
	flagPids    = "pids"
)

func (s *shell) containerCommand() *ucli.Command {
	return &ucli.Command{Name: "container", Usage: "run programs in containers", Subcommands: []*ucli.Command{
		{Name: "run", Usage: "run an image on the network", ArgsUsage: "IMAGE [ARGS...]", Description: containerRunHelp,
			Flags: nodeFlags(
				&ucli.StringSliceFlag{Name: flagCommand, Usage: "`WORD` of the program to run instead of the image's (repeat)"},
				&ucli.StringSliceFlag{Name: flagEnv, Usage: "`NAME=VALUE` the program finds in its environment (repeat)"},
				&ucli.StringSliceFlag{Name: flagFile, Usage: "`NAME=PATH` of a file the program may read as " + container.FilesDir + "/NAME; PATH alone keeps its name (repeat)"},
				&ucli.Int64Flag{Name: flagMemory, Usage: "memory of the container in `MIB`", Value: container.DefaultMemoryMB},
				&ucli.Float64Flag{Name: flagCPUs, Usage: "`CORES` it may keep busy, for example 0.5", Value: container.DefaultCPUs},
				&ucli.Int64Flag{Name: flagPids, Usage: "`N` processes and threads it may have at once", Value: container.DefaultPids},
				&ucli.DurationFlag{Name: flagTimeout, Usage: "`TIME` the program may take", Value: container.DefaultTimeout},
				reuseFlag(),
			), Action: s.containerRun},
	}}
}

func (s *shell) containerRun(c *ucli.Context) error {
	if !c.Args().Present() {
		return usagef("use tenzro container run IMAGE [ARGS...]", "IMAGE is missing")
	}
	t, err := s.containerTask(c)
	if err != nil {
		return err
	}
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if _, err := container.Decode(data); err != nil { // as a node would, before anything is sent
		return err
	}
	late := c.Duration(flagTimeout) + core.DefaultQueueTimeout
	cl, err := s.connect(c)
	if err != nil {
		return err
	}
	shown := s.newProgramOutput()
	raw, err := s.submitProgram(c, cl, core.TaskSpec{Type: container.Type, Data: data, Requirements: core.Requirements{MemoryMB: t.Limits.MemoryMB},
		TimeoutMS: min(late, core.MaxTimeout).Milliseconds()}, shown, "split the input over several tasks")
	if err != nil {
		return err
	}
	r, err := container.DecodeResult(raw)
	if err != nil {
		return err
	}
	if err := shown.finish(r.Stdout, r.Stderr); err != nil {
		return err
	}
	return exitOf(uint32(r.ExitCode))
}

// containerTask is what the command line describes.
func (s *shell) containerTask(c *ucli.Context) (container.Task, error) {
	t := container.Task{Image: c.Args().First(), Command: quoted(c.StringSlice(flagCommand)), Args: quoted(c.Args().Tail()),
		Limits: container.Limits{MemoryMB: c.Int64(flagMemory), CPUs: c.Float64(flagCPUs), Pids: c.Int64(flagPids)}}
	var err error
	if t.Limits.TimeoutMS, err = milliseconds(c, flagTimeout); err == nil {
		t.Env, err = environment(c.StringSlice(flagEnv))
	}
	if err == nil {
		t.Files, err = s.grantedFiles(c.StringSlice(flagFile))
	}
	if err == nil && s.hasInput() {
		t.Stdin, err = s.readInput("-", input{"stdin", "input", core.MaxTaskBytes, "split the input over several tasks, or redirect it from /dev/null"})
	}
	return t, err
}
