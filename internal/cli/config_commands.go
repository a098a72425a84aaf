package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/internal/cli/config"
)

// settingFlags are the flags of every setting, and --config.
func settingFlags() []ucli.Flag {
	flags := []ucli.Flag{&ucli.StringFlag{Name: config.FlagConfig, Usage: "YAML `FILE` to read [$" + config.EnvConfig + "]", DefaultText: "config.yaml in the home"}}
	for _, k := range config.Keys() {
		flags = append(flags, settingFlag(k))
	}
	return flags
}

func settingFlag(k config.Key) ucli.Flag {
	usage := fmt.Sprintf("%s [$%s]", k.Doc, k.Env())
	switch {
	case k.IsSwitch():
		return &ucli.BoolFlag{Name: k.Flag, Usage: usage, DefaultText: k.Default}
	case k.IsList():
		return &ucli.StringSliceFlag{Name: k.Flag, Usage: "`" + k.Arg + "`: " + usage, DefaultText: k.Default}
	}
	return &ucli.StringFlag{Name: k.Flag, Usage: "`" + k.Arg + "`: " + usage, DefaultText: k.Default}
}

func (s *shell) configCommand() *ucli.Command {
	return &ucli.Command{Name: "config", Usage: "look at the configuration", Subcommands: []*ucli.Command{
		{Name: "show", Usage: "print every setting as `tenzro run` with the same flags would use it",
			Flags: append(settingFlags(), outputFlag(),
				&ucli.BoolFlag{Name: "origin", Usage: "also print where each value was set"}), Action: s.configShow},
		{Name: "validate", Usage: "check flags, environment and file without starting anything",
			Flags: append(settingFlags(), outputFlag()), Action: s.configValidate},
	}}
}

// load reads the configuration of a command that has settingFlags.
func (s *shell) load(c *ucli.Context) (*config.Loaded, error) {
	src, err := s.source(c)
	if err != nil {
		return nil, err
	}
	return config.Load(src)
}

// shownSetting is one setting in the JSON of config show --origin.
type shownSetting struct {
	Value  any    `json:"value"`
	Origin string `json:"origin,omitempty"`
}

func (s *shell) configShow(c *ucli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	wantJSON, err := asJSON(c)
	if err != nil {
		return err
	}
	loaded, err := s.load(c)
	if err != nil {
		return err
	}
	if wantJSON {
		return s.configJSON(loaded, c.Bool("origin"))
	}
	g := grid{header: []string{"setting", "value"}}
	if c.Bool("origin") {
		g.header = append(g.header, "origin")
	}
	for _, v := range loaded.Values {
		row := []any{v.Key.Path, valueText(v.Value)}
		if c.Bool("origin") {
			row = append(row, v.Origin)
		}
		g.add(row...)
	}
	return s.printGrid(g)
}

func (s *shell) configJSON(loaded *config.Loaded, origin bool) error {
	out := map[string]any{}
	for _, v := range loaded.Values {
		value := v.Value
		if d, ok := value.(time.Duration); ok {
			value = d.String()
		}
		out[v.Key.Path] = value
		if origin {
			out[v.Key.Path] = shownSetting{Value: value, Origin: v.Origin}
		}
	}
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return s.printJSON(text)
}

func valueText(v any) string {
	if list, ok := v.([]string); ok {
		return orDash(strings.Join(list, ","))
	}
	return orDash(fmt.Sprint(v))
}

// validated is the JSON of config validate; what is wrong is an error instead.
type validated struct {
	Status string `json:"status"`         // always "ok"
	File   string `json:"file,omitempty"` // the configuration file that was read, if any
}

func (s *shell) configValidate(c *ucli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	wantJSON, err := asJSON(c)
	if err != nil {
		return err
	}
	loaded, err := s.load(c)
	if err != nil {
		return err
	}
	if wantJSON {
		text, err := json.Marshal(validated{Status: "ok", File: loaded.File})
		if err != nil {
			return err
		}
		return s.printJSON(text)
	}
	from := "flags, environment and defaults"
	if loaded.File != "" {
		from = loaded.File + ", flags and environment"
	}
	_, err = fmt.Fprintf(s.Out, "ok: %s\n", from)
	return err
}
