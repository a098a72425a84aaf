package cli

import (
	"context"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/internal/nearest"
)

const programName = "tenzro"

// completionArg is what the completion scripts append to ask for candidates.
const completionArg = "--generate-bash-completion"

// Process is what a command line runs in.
type Process struct {
	Args    []string // program name first, as in os.Args
	Environ []string // as from os.Environ
	Dir     string   // where .env is looked for and relative paths start
	In      io.Reader
	Out     io.Writer // results
	Err     io.Writer // errors, logs, progress
	Version string    // set by the linker; empty: from the build information
}

// Main carries out the command line and returns the code to exit with. The
// first SIGINT or SIGTERM asks the command to finish, a second one ends the
// process at once. A process that was started as a sandbox child serves as one
// instead, whatever its command line.
func Main(p Process) int {
	if sandbox.Main(guests()) {
		return ExitOK
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // back to the default action for the second signal
	err := (&shell{Process: p}).run(ctx)
	if err != nil {
		printError(p.Err, err)
	}
	return exitCode(err)
}

// shell is what the commands share: the process and how to reach a node.
type shell struct{ Process }

func (s *shell) run(ctx context.Context) error {
	app := s.app()
	root := &ucli.Command{Name: programName, Subcommands: app.Commands}
	args := helpFirst(s.Args[1:])
	if len(args) == 0 || args[len(args)-1] != completionArg {
		var err error
		if args, err = permute(root, args); err != nil {
			return err
		}
	}
	return app.RunContext(ctx, append([]string{programName}, args...))
}

// helpFirst turns `help COMMAND` and `--version` into what the parser knows.
func helpFirst(args []string) []string {
	switch {
	case len(args) > 0 && args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	case len(args) == 1 && (args[0] == "--version" || args[0] == "-v"):
		return []string{"version"}
	}
	return args
}

func (s *shell) app() *ucli.App {
	app := &ucli.App{
		Name:                      programName,
		HelpName:                  programName,
		Usage:                     "join machines into one network that computes, and give it work",
		Description:               "Start with `tenzro devnet` to see a whole network on this machine, or with\n`tenzro init` and `tenzro run` to join one.",
		Commands:                  s.commands(),
		Action:                    group,
		HideVersion:               true,
		HideHelpCommand:           true,
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true,
		Reader:                    s.In,
		Writer:                    s.Out,
		ErrWriter:                 s.Err,
		OnUsageError:              badUsage,
		ExitErrHandler:            func(*ucli.Context, error) {},
	}
	prepare(app.Commands)
	return app
}

func (s *shell) commands() []*ucli.Command {
	return []*ucli.Command{
		s.runCommand(), s.devnetCommand(), s.initCommand(),
		s.taskCommand(), s.workflowCommand(), s.wasmCommand(), s.containerCommand(), s.objectCommand(), s.networkCommand(), s.nodeCommand(), s.peerCommand(), s.regionCommand(),
		s.keyCommand(), s.configCommand(), s.tokenCommand(),
		s.healthcheckCommand(), s.doctorCommand(), s.versionCommand(), s.completionCommand(),
	}
}

// prepare gives every command what all of them share.
func prepare(cmds []*ucli.Command) {
	for _, c := range cmds {
		c.HideHelpCommand = true
		c.OnUsageError = badUsage
		if len(c.Subcommands) > 0 {
			c.Action = group
		}
		prepare(c.Subcommands)
	}
}

// group answers a command that only has subcommands: its help, or an error
// about the word that is none of them.
func group(c *ucli.Context) error {
	if !c.Args().Present() {
		return ucli.ShowSubcommandHelp(c)
	}
	var names []string
	for _, sub := range c.Command.Subcommands {
		names = append(names, sub.Name)
	}
	if len(names) == 0 {
		for _, sub := range c.App.Commands {
			names = append(names, sub.Name)
		}
	}
	word := c.Args().First()
	return usagef("use one of: "+strings.Join(names, ", "), "%s has no command %q%s", c.Command.HelpName, word, nearest.DidYouMean(word, names))
}

func badUsage(c *ucli.Context, err error, _ bool) error {
	return usagef("see "+c.Command.HelpName+" --help", "%v", err)
}

// arguments returns the command's arguments, or a usage error unless there are
// as many as names.
func arguments(c *ucli.Context, names ...string) ([]string, error) {
	args := c.Args().Slice()
	usage := strings.TrimSpace(c.Command.HelpName + " " + strings.Join(names, " "))
	switch {
	case len(args) < len(names):
		return nil, usagef("use "+usage, "%s is missing", names[len(args)])
	case len(args) > len(names):
		return nil, usagef("use "+usage, "argument %q is one too many", args[len(names)])
	}
	return args, nil
}
