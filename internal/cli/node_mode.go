package cli

import (
	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/core"
)

const pathMode = "/api/v1/mode"

// modeName is the body and the answer of /api/v1/mode.
type modeName struct {
	Mode string `json:"mode"`
}

func drawMode(m modeName) grid {
	g := grid{header: []string{"mode"}}
	g.add(m.Mode)
	return g
}

func (s *shell) nodeModeCommand() *ucli.Command {
	return &ucli.Command{Name: "mode", Usage: "show how much the node relies on coordinators, or set it while it runs", ArgsUsage: "[MODE]",
		Description: "hybrid: tasks go to regions, and to the node's own workers where no region is in reach.\n" +
			"p2p-primary: tasks go to the node's own workers, and to a region what they cannot do.\n" +
			"p2p: nobody relies on a coordinator.\n\n   tenzro node mode p2p",
		Flags: nodeFlags(outputFlag()), Action: s.nodeMode}
}

func (s *shell) nodeMode(c *ucli.Context) error {
	if !c.Args().Present() {
		return ask(s, pathMode, drawMode)(c)
	}
	if _, err := asJSON(c); err != nil {
		return err
	}
	args, err := arguments(c, "MODE")
	if err != nil {
		return err
	}
	mode, err := core.ParseMode(args[0])
	if err != nil {
		return usagef(hintOf(err), "%v", err)
	}
	cl, err := s.connect(c)
	if err != nil {
		return err
	}
	answer, err := cl.Put(c.Context, pathMode, modeName{Mode: mode.String()})
	if err != nil {
		return err
	}
	return show(s, c, answer, drawMode)
}
