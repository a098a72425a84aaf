package cli

import (
	"errors"
	"path/filepath"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
	"github.com/tenzro/tenzro/internal/cli/config"
	"github.com/tenzro/tenzro/internal/cli/doctor"
	"github.com/tenzro/tenzro/node"
)

func (s *shell) doctorCommand() *ucli.Command {
	flags := append(settingFlags(), outputFlag(),
		&ucli.StringFlag{Name: flagAPI, Usage: "`URL` of the node [$TENZRO_API]", DefaultText: "the node of the home directory"},
		&ucli.StringFlag{Name: flagToken, Usage: "bearer `TOKEN` to send [$TENZRO_TOKEN]"},
		&ucli.StringFlag{Name: "clock", Usage: "`URL` of an HTTP server whose clock is right", DefaultText: "the node's peers, else the bootstrap nodes"})
	return &ucli.Command{Name: "doctor", Usage: "find out what keeps a node from working", Flags: flags, Action: s.doctorAction,
		Description: "Checks what `tenzro run` with the same flags would use, and asks the node if one\nruns. Exits 1 when a line says FAIL."}
}

func (s *shell) doctorAction(c *ucli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	if _, err := asJSON(c); err != nil {
		return err
	}
	in, err := s.examined(c)
	if err != nil {
		return err
	}
	if in.Client != nil {
		defer in.Client.Close()
	}
	lines := doctor.Examine(c.Context, in)
	err = showValue(s, c, lines, func(lines []doctor.Line) grid {
		var g grid
		for _, l := range lines {
			g.add(l.Status, l.Check, l.Detail)
			if l.Fix != "" {
				g.add("", "", "fix: "+l.Fix)
			}
		}
		return g
	})
	if failed := doctor.Failed(lines); err == nil && failed > 0 {
		err = core.Errorf(core.Conflict, "doctor", "%d of %d checks failed", failed, len(lines)).WithHint("apply the fix of each FAIL line")
	}
	return err
}

// examined collects what is to be examined. A wrong configuration is a finding,
// not an error.
func (s *shell) examined(c *ucli.Context) (doctor.Input, error) {
	env, err := config.ReadEnvironment(s.Environ, s.Dir)
	src := config.Source{Flags: givenFlags(c), Env: env}
	src.UserHome, _, _ = env.Get("HOME")
	in := doctor.Input{ConfigErr: err, ClockURL: c.String("clock"), Version: s.version().Version, System: doctor.Machine{}}
	if in.Home, err = config.Home(src); err != nil {
		return in, err
	}
	in.KeyFile = filepath.Join(in.Home, node.KeyFile)
	if loaded, err := config.Load(src); err != nil {
		in.ConfigErr = errors.Join(in.ConfigErr, err)
	} else if in.ConfigErr == nil {
		in.Config = &loaded.Config
	}
	if running, err := client.ReadRuntime(in.Home); err == nil {
		in.Runtime = &running
	}
	in.Client, err = s.doctorClient(c, env, in.Runtime)
	return in, err
}

// doctorClient returns nil when no node was named and none left its address.
func (s *shell) doctorClient(c *ucli.Context, env config.Environment, running *client.Runtime) (*client.Client, error) {
	address, token := s.nodeAddress(c, env)
	if address == "" && running == nil {
		return nil, nil
	}
	if address == "" {
		address = running.HTTP
	}
	return client.New(address, token)
}
