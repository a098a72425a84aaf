package cli

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/rs/zerolog"
	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
	"github.com/tenzro/tenzro/internal/cli/config"
	"github.com/tenzro/tenzro/node"
)

const (
	flagYes     = "yes"
	pathRegion  = "/api/v1/region"
	pathMembers = "/api/v1/region/members"
)

func (s *shell) regionCommand() *ucli.Command {
	return &ucli.Command{Name: "region", Usage: "look after the coordinators that keep the node's region", Subcommands: []*ucli.Command{
		{Name: "status", Usage: "show the members, who leads and what is recorded", Flags: nodeFlags(outputFlag()), Action: ask(s, pathRegion, drawCoordinators)},
		{Name: "add", Usage: "make a node a coordinator of the region", ArgsUsage: "NODE",
			Description: "The node must run with the same --region; `tenzro region status` shows it as\nwaiting. Two coordinators are one more than enough, three survive the loss of one.",
			Flags:       nodeFlags(outputFlag()), Action: s.regionAdd},
		{Name: "remove", Usage: "take a coordinator out of the region", ArgsUsage: "NODE",
			Flags: nodeFlags(outputFlag()), Action: s.regionRemove},
		{Name: "recover", Usage: "go on alone after most coordinators were lost for good", ArgsUsage: "REGION",
			Description: "Only while the node is stopped. It becomes the one coordinator of the region with\nwhat its own disk holds: jobs that only the others knew are gone. Never start the\nothers again with their old home directories.",
			Flags:       []ucli.Flag{homeFlag(), &ucli.BoolFlag{Name: flagYes, Usage: "really do it"}}, Action: s.regionRecover},
	}}
}

func drawCoordinators(r api.RegionStatus) grid {
	g := grid{header: []string{"coordinator", "state", "leads", "last contact", ""}}
	for _, m := range r.Members {
		leads, contact, self := "-", "-", ""
		if m.Leader {
			leads = fmt.Sprintf("epoch %d", r.Epoch)
		}
		if !m.LastContact.IsZero() {
			contact = time.Since(m.LastContact).Round(time.Millisecond).String() + " ago"
		}
		if m.Self {
			self = "this node"
		}
		g.add(m.ID, m.State, leads, contact, self)
	}
	g.add(fmt.Sprintf("region %s, journal in %s: %d open and %d finished jobs", r.Region, r.Journal, r.Open, r.Finished), "", "", "", "")
	return g
}

func (s *shell) regionAdd(c *ucli.Context) error {
	return s.changeRegion(c, func(cl *client.Client, id core.NodeID) (json.RawMessage, error) {
		return cl.Post(c.Context, pathMembers, map[string]core.NodeID{"nodeId": id})
	})
}

func (s *shell) regionRemove(c *ucli.Context) error {
	return s.changeRegion(c, func(cl *client.Client, id core.NodeID) (json.RawMessage, error) {
		return cl.Delete(c.Context, pathMembers+"/"+url.PathEscape(string(id)))
	})
}

func (s *shell) changeRegion(c *ucli.Context, change func(*client.Client, core.NodeID) (json.RawMessage, error)) error {
	args, err := arguments(c, "NODE")
	if err != nil {
		return err
	}
	if _, err := asJSON(c); err != nil {
		return err
	}
	cl, err := s.connect(c)
	if err != nil {
		return err
	}
	answer, err := change(cl, core.NodeID(args[0]))
	if err != nil {
		return err
	}
	return show(s, c, answer, drawCoordinators)
}

func (s *shell) regionRecover(c *ucli.Context) error {
	args, err := arguments(c, "REGION")
	if err != nil {
		return err
	}
	region, err := core.ParseRegionID(args[0])
	if err != nil {
		return err
	}
	if !c.Bool(flagYes) {
		return usagef("read `tenzro region recover --help` and repeat it with --yes", "this cannot be undone")
	}
	src, err := s.source(c)
	if err != nil {
		return err
	}
	home, err := config.Home(src)
	if err != nil {
		return err
	}
	log := zerolog.New(zerolog.ConsoleWriter{Out: s.Err, NoColor: true, PartsExclude: []string{zerolog.TimestampFieldName}}).Level(zerolog.WarnLevel)
	if err := node.Recover(home, region, log); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "region %s is kept by this node alone now; start it with tenzro run\n", region)
	return err
}
