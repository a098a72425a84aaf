package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/config"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/node"
)

// makeHome creates the home directory for its owner alone.
func makeHome(home string) error {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return core.Errorf(core.Unavailable, "home", "creating home directory: %w", err).
			WithHint("name a directory you may write to with --home or TENZRO_HOME")
	}
	return nil
}

func (s *shell) initCommand() *ucli.Command {
	return &ucli.Command{Name: "init", Usage: "write a commented config.yaml, an example of a .env file and the node's key",
		Description: "Nothing that exists is overwritten.",
		Flags:       []ucli.Flag{homeFlag()}, Action: s.initHome}
}

func (s *shell) initHome(c *ucli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	home, err := s.home(c)
	if err != nil {
		return err
	}
	if err := makeHome(home); err != nil {
		return err
	}
	for _, f := range []struct{ name, text string }{{config.FileName, config.Template()}, {"env.example", config.EnvExample()}} {
		if err := s.writeNew(filepath.Join(home, f.name), f.text); err != nil {
			return err
		}
	}
	id, err := keys.LoadOrCreate(filepath.Join(home, node.KeyFile))
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "key      %s\n", filepath.Join(home, node.KeyFile))
	fmt.Fprintf(s.Err, "next     edit %s, or copy env.example to .env; then: tenzro run\n", filepath.Join(home, config.FileName))
	_, err = fmt.Fprintln(s.Out, id.ID())
	return err
}

// writeNew writes a file that does not exist yet and says what it did.
func (s *shell) writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		fmt.Fprintf(s.Err, "kept     %s\n", path)
		return nil
	}
	if err == nil {
		_, err = f.WriteString(text)
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}
	if err != nil {
		return core.Errorf(core.Unavailable, "init", "writing %s: %w", path, err).WithHint("check the directory's permissions and free space")
	}
	fmt.Fprintf(s.Err, "written  %s\n", path)
	return nil
}

func (s *shell) keyCommand() *ucli.Command {
	return &ucli.Command{Name: "key", Usage: "look at the node's key", Subcommands: []*ucli.Command{
		{Name: "show", Usage: "print the node's id, which is its public key", Flags: []ucli.Flag{homeFlag(), outputFlag()}, Action: s.keyShow},
	}}
}

func (s *shell) keyShow(c *ucli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	home, err := s.home(c)
	if err != nil {
		return err
	}
	path := filepath.Join(home, node.KeyFile)
	id, err := keys.Load(path)
	if errors.Is(err, core.NotFound) {
		return core.Errorf(core.NotFound, "key", "%w", err).WithHint("make one with `tenzro init`, or start the node once")
	}
	if err != nil {
		return err
	}
	lan, err := keys.LANID(id.ID())
	if err != nil {
		return err
	}
	type shown struct {
		ID    core.NodeID `json:"id"`
		LANID string      `json:"lanId"`
		File  string      `json:"file"`
	}
	return showValue(s, c, shown{id.ID(), fmt.Sprintf("%x", lan), path}, func(k shown) grid {
		var g grid
		g.add("id", k.ID)
		g.add("lan id", k.LANID)
		g.add("file", k.File)
		return g
	})
}

func (s *shell) tokenCommand() *ucli.Command {
	return &ucli.Command{Name: "token", Usage: "make and revoke the tokens that let clients use the API", Subcommands: []*ucli.Command{
		{Name: "create", Usage: "make a token and print its secret, this once", ArgsUsage: "NAME", Flags: append(limitFlags(), homeFlag(), outputFlag()), Action: s.tokenCreate},
		{Name: "list", Usage: "list the tokens", Flags: []ucli.Flag{homeFlag(), outputFlag()}, Action: s.tokenList},
		{Name: "revoke", Usage: "make a token useless, at once", ArgsUsage: "ID", Flags: []ucli.Flag{homeFlag()}, Action: s.tokenRevoke},
	}}
}

// limitFlags are what a token may have of its own; 0 is the node's setting.
func limitFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.IntFlag{Name: "rate-limit", Usage: "`N` requests per second", DefaultText: "as the node says"},
		&ucli.IntFlag{Name: "max-open-tasks", Usage: "`N` unfinished tasks at once", DefaultText: "as the node says"},
		&ucli.Int64Flag{Name: "max-open-mb", Usage: "`MIB` of data in unfinished tasks", DefaultText: "as the node says"},
	}
}

// tokens opens the token file of the home directory.
func (s *shell) tokens(c *ucli.Context) (*api.Tokens, error) {
	home, err := s.home(c)
	if err != nil {
		return nil, err
	}
	if err := makeHome(home); err != nil {
		return nil, err
	}
	return api.OpenTokens(filepath.Join(home, node.TokensFile))
}

func (s *shell) tokenCreate(c *ucli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	wantJSON, err := asJSON(c)
	if err != nil {
		return err
	}
	tokens, err := s.tokens(c)
	if err != nil {
		return err
	}
	mb := c.Int64("max-open-mb")
	if mb < 0 || mb > 1<<24 {
		return usagef("use 0 to 16777216", "--max-open-mb is %d", mb)
	}
	limits := api.TokenLimits{Rate: c.Int("rate-limit"), OpenTasks: c.Int("max-open-tasks"), OpenBytes: mb << 20}
	id, secret, err := tokens.Create(args[0], limits)
	if err != nil {
		return err
	}
	if wantJSON {
		return showValue(s, c, map[string]string{"id": id, "name": args[0], "secret": secret}, func(map[string]string) grid { return grid{} })
	}
	fmt.Fprintf(s.Err, "token %s made; its secret is shown only now:\n", id)
	_, err = fmt.Fprintln(s.Out, secret)
	return err
}

func (s *shell) tokenList(c *ucli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	tokens, err := s.tokens(c)
	if err != nil {
		return err
	}
	list, err := tokens.List()
	if err != nil {
		return err
	}
	type shown struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		Created string `json:"created"`
	}
	rows := []shown{}
	for _, t := range list {
		rows = append(rows, shown{t.ID, t.Name, stamp(t.Created)})
	}
	return showValue(s, c, rows, func(rows []shown) grid {
		g := grid{header: []string{"id", "name", "created"}}
		for _, t := range rows {
			g.add(t.ID, t.Name, t.Created)
		}
		return g
	})
}

func (s *shell) tokenRevoke(c *ucli.Context) error {
	args, err := arguments(c, "ID")
	if err != nil {
		return err
	}
	tokens, err := s.tokens(c)
	if err != nil {
		return err
	}
	if err := tokens.Revoke(args[0]); err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "token %s is revoked\n", clean(args[0]))
	return nil
}
