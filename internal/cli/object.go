package cli

import (
	"io"
	"net/url"
	"os"
	"strconv"

	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
	"github.com/tenzro/tenzro/storage"
)

const objectPutHelp = `Uploads a file, or standard input, and prints the id that names it in tasks:

   id=$(tenzro object put words.txt)
   {"over":{"lines":{"object":"<id>"}}, ...}

The same bytes have the same id everywhere; putting them again costs nothing but the
way. How long a node keeps them is shown by "tenzro object list".`

func (s *shell) objectCommand() *ucli.Command {
	return &ucli.Command{Name: "object", Usage: "keep bytes at a node that tasks name instead of carrying them", Subcommands: []*ucli.Command{
		{Name: "put", Usage: "upload a file and print its id", ArgsUsage: "FILE|-", Description: objectPutHelp, Flags: nodeFlags(outputFlag()), Action: s.objectPut},
		{Name: "get", Usage: "write an object to standard output or a file", ArgsUsage: "ID",
			Flags: nodeFlags(&ucli.StringFlag{Name: flagOut, Aliases: []string{"o"}, Usage: "`FILE` to write"}), Action: s.objectGet},
		{Name: "list", Usage: "list the objects of a node, those used last first", Flags: nodeFlags(outputFlag(),
			&ucli.IntFlag{Name: "limit", Usage: "at most `N` objects at once, up to 1000", Value: 100},
			&ucli.StringFlag{Name: "after", Usage: "go on behind this `CURSOR`, which the list before gave"},
			&ucli.BoolFlag{Name: flagAll, Usage: "all pages"}), Action: s.objectList},
		{Name: "rm", Usage: "remove an object from a node", ArgsUsage: "ID", Flags: nodeFlags(), Action: s.objectRemove},
	}}
}

func (s *shell) objectPut(c *ucli.Context) error {
	args, err := arguments(c, "FILE|-")
	if err != nil {
		return err
	}
	wantJSON, err := asJSON(c)
	if err != nil {
		return err
	}
	data, err := s.readInput(args[0], input{"FILE", "object", storage.MaxObjectBytes, "split it over several objects"})
	if err != nil {
		return err
	}
	cl, err := s.connect(c)
	if err != nil {
		return err
	}
	answer, err := cl.PutObject(c.Context, data)
	if err != nil {
		return err
	}
	if wantJSON {
		return s.printJSON(answer)
	}
	info, err := client.Decode[storage.Info](answer)
	if err != nil {
		return err
	}
	_, err = io.WriteString(s.Out, info.ID.String()+"\n")
	return err
}

// objectCall is what every command about one object starts with.
func (s *shell) objectCall(c *ucli.Context) (*client.Client, core.ObjectID, error) {
	args, err := arguments(c, "ID")
	if err != nil {
		return nil, core.ObjectID{}, err
	}
	id, err := core.ParseObjectID(args[0])
	if err != nil {
		return nil, id, usagef("`tenzro object list` shows the ids a node has", "%v", err)
	}
	cl, err := s.connect(c)
	return cl, id, err
}

// objectGet writes nothing but what has the digest that the id is.
func (s *shell) objectGet(c *ucli.Context) error {
	cl, id, err := s.objectCall(c)
	if err != nil {
		return err
	}
	data, err := cl.Object(c.Context, id)
	if err != nil {
		return err
	}
	to := c.String(flagOut)
	if to == "" || to == "-" {
		_, err = s.Out.Write(data)
		return err
	}
	if err := os.WriteFile(s.path(to), data, 0o644); err != nil {
		return core.Errorf(core.Unavailable, "--out", "writing the object: %w", err).WithHint("name a file you may write")
	}
	return nil
}

func (s *shell) objectRemove(c *ucli.Context) error {
	cl, id, err := s.objectCall(c)
	if err != nil {
		return err
	}
	return cl.DeleteObject(c.Context, id)
}

func (s *shell) objectList(c *ucli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	if _, err := asJSON(c); err != nil {
		return err
	}
	cl, err := s.connect(c)
	if err != nil {
		return err
	}
	query := url.Values{"limit": {strconv.Itoa(c.Int("limit"))}}
	if after := c.String("after"); after != "" {
		query.Set("after", after)
	}
	page, err := objectPages(c, cl, query)
	if err != nil {
		return err
	}
	if err := showValue(s, c, page, drawObjects); err != nil {
		return err
	}
	s.listNotes(core.TaskPage{Next: page.Next})
	return nil
}

// objectPages asks for one page, or with --all for those behind it too.
func objectPages(c *ucli.Context, cl *client.Client, query url.Values) (all storage.Page, err error) {
	for {
		var page storage.Page
		if err := cl.GetInto(c.Context, client.ObjectsPath, query, &page); err != nil {
			return all, err
		}
		all.Objects, all.Next = append(all.Objects, page.Objects...), page.Next
		if page.Next == "" || !c.Bool(flagAll) || len(all.Objects) >= maxAll || page.Next == query.Get("after") {
			return all, nil
		}
		query.Set("after", page.Next)
	}
}

func drawObjects(page storage.Page) grid {
	g := grid{header: []string{"object", "bytes", "used", "expires", "copy"}}
	for _, o := range page.Objects {
		g.add(o.ID, o.Size, stamp(o.Used), stamp(o.Expires), map[bool]string{true: "yes", false: "-"}[o.Copy])
	}
	return g
}
