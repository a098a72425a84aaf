package cli

import (
	"cmp"
	"io"
	"os"

	ucli "github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/tenzro/tenzro/internal/cli/client"
	"github.com/tenzro/tenzro/internal/cli/config"
)

const (
	flagHome  = "home"
	flagAPI   = "api"
	flagToken = "token"
)

func homeFlag() ucli.Flag {
	return &ucli.StringFlag{Name: flagHome, Usage: "home `DIR` of the node [$TENZRO_HOME]", DefaultText: "~/.tenzro"}
}

// nodeFlags are the flags of every command that asks a running node.
func nodeFlags(more ...ucli.Flag) []ucli.Flag {
	return append(more,
		&ucli.StringFlag{Name: flagAPI, Usage: "`URL` of the node [$TENZRO_API]", DefaultText: "the node of the home directory"},
		&ucli.StringFlag{Name: flagToken, Usage: "bearer `TOKEN` to send [$TENZRO_TOKEN]"},
		homeFlag())
}

// source collects what settings of this command come from.
func (s *shell) source(c *ucli.Context) (config.Source, error) {
	env, err := config.ReadEnvironment(s.Environ, s.Dir)
	if err != nil {
		return config.Source{}, err
	}
	userHome, _, _ := env.Get("HOME")
	return config.Source{Flags: givenFlags(c), Env: env, UserHome: userHome}, env.Check()
}

// givenFlags returns the flags that were on the command line, each with all of
// its values.
func givenFlags(c *ucli.Context) map[string][]string {
	given := map[string][]string{}
	for _, name := range c.LocalFlagNames() {
		if list, ok := c.Value(name).(ucli.StringSlice); ok {
			given[name] = list.Value()
			continue
		}
		given[name] = []string{c.String(name)}
		if b, ok := c.Value(name).(bool); ok {
			given[name] = []string{map[bool]string{true: "true", false: "false"}[b]}
		}
	}
	return given
}

// home returns the home directory of this command.
func (s *shell) home(c *ucli.Context) (string, error) {
	src, err := s.source(c)
	if err != nil {
		return "", err
	}
	return config.Home(src)
}

// connect returns a client for the node that was named, or for the one that
// runs from the home directory.
func (s *shell) connect(c *ucli.Context) (*client.Client, error) {
	src, err := s.source(c)
	if err != nil {
		return nil, err
	}
	address, token := s.nodeAddress(c, src.Env)
	if address == "" {
		home, err := config.Home(src)
		if err != nil {
			return nil, err
		}
		running, err := client.ReadRuntime(home)
		if err != nil {
			return nil, err
		}
		address = running.HTTP
	}
	return client.New(address, token)
}

// nodeAddress returns what flags or environment say of the node to talk to.
func (s *shell) nodeAddress(c *ucli.Context, env config.Environment) (address, token string) {
	address, _, _ = env.Get(config.EnvAPI)
	token, _, _ = env.Get(config.EnvToken)
	return cmp.Or(c.String(flagAPI), address), cmp.Or(c.String(flagToken), token)
}

// isTerminal reports whether w is a terminal somebody looks at.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
