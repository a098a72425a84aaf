// Command sim runs seeds of the simulated network.
//
//	go run ./integration/cmd/sim -seeds 10000
//	go run ./integration/cmd/sim -seeds 1000 -bug early-ack
//	go run ./integration/cmd/sim -from 42 -v
//
// Every seed is a network of coordinators, workers, gateways and clients on
// virtual time with its own faults; see package sim. A seed that breaks is printed
// with what broke and the command that repeats it, and the exit status is 1; with
// a planted bug it is 1 when nothing breaks.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/integration/sim"
)

func main() {
	c, code := parse(os.Args[1:], os.Stderr)
	if c == nil {
		os.Exit(code)
	}
	// The bubbles of virtual time want a test around them; Main itself would read
	// the arguments once more and print PASS.
	os.Args = os.Args[:1]
	every := func(string, string) (bool, error) { return true, nil }
	testing.Main(every, []testing.InternalTest{{Name: "sim", F: func(t *testing.T) { os.Exit(c.play(t, os.Stdout)) }}}, nil, nil)
}

// command is what the flags say.
type command struct {
	campaign sim.Campaign
	bug      string
	verbose  bool
	all      bool
	repeat   int
}

func (c *command) flags(errs io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("sim", flag.ContinueOnError)
	f.SetOutput(errs)
	f.Uint64Var(&c.campaign.Seeds, "seeds", 1, "how many seeds to run")
	f.Uint64Var(&c.campaign.From, "from", 1, "the first seed")
	f.StringVar(&c.bug, "bug", "", "plant a bug, one of the list below; all: each of them")
	f.IntVar(&c.campaign.Parallel, "parallel", 2, "seeds that run at once")
	f.IntVar(&c.repeat, "repeat", 1, "how often to run the seeds: the order of goroutines is not the seed's")
	f.BoolVar(&c.all, "all", false, "go on after a seed that breaks")
	f.BoolVar(&c.verbose, "v", false, "tell what happens")
	f.BoolVar(&c.campaign.Nodes, "vv", false, "also what the nodes log")
	f.Usage = func() {
		fmt.Fprint(errs, "sim runs a network on virtual time under the faults that a seed chooses.\n\nFlags:\n")
		f.PrintDefaults()
		fmt.Fprintf(errs, "\nPlanted bugs: %v\n", sim.Bugs())
	}
	return f
}

// parse returns what to do, or nil and the exit status.
func parse(args []string, errs io.Writer) (*command, int) {
	c := &command{}
	f := c.flags(errs)
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil, 0
	case err != nil:
		return nil, 2
	}
	if err := c.check(f.Args()); err != nil {
		fmt.Fprintln(errs, "sim:", err)
		return nil, 2
	}
	return c, 0
}

func (c *command) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is no flag; -help lists them", rest[0])
	case c.campaign.Seeds == 0 || c.repeat < 1 || c.campaign.Parallel < 1:
		return fmt.Errorf("-seeds, -repeat and -parallel must be at least 1")
	case c.bug != "" && c.bug != "all" && !slices.Contains(sim.Bugs(), sim.Bug(c.bug)):
		return fmt.Errorf("no bug is called %q; -help lists them", c.bug)
	}
	return nil
}

// play runs the campaign, or one for each bug.
func (c *command) play(t *testing.T, out io.Writer) (code int) {
	if c.bug != "all" {
		return c.one(t, sim.Bug(c.bug), out)
	}
	for _, b := range sim.Bugs() {
		code = max(code, c.one(t, b, out))
	}
	return code
}

func (c *command) one(t *testing.T, bug sim.Bug, out io.Writer) int {
	k := c.campaign
	k.Bug, k.Stop = bug, !c.all
	if c.verbose || k.Nodes {
		k.Logf = func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	}
	k.Done = func(seed uint64, r sim.Report) {
		for _, line := range r.Broken {
			fmt.Fprintf(out, "seed %d: %s\n", seed, line)
		}
	}
	found := false
	for range c.repeat {
		s := k.Run(t)
		report(out, bug, s)
		found = found || s.Broken > 0
	}
	if found == (bug == sim.NoBug) {
		return 1
	}
	return 0
}

// report says what became of the seeds.
func report(out io.Writer, bug sim.Bug, s sim.Totals) {
	each := s.Wall / time.Duration(s.Seeds)
	var died []string
	for _, p := range sim.Points() {
		died = append(died, fmt.Sprintf("%s %d", p, s.Struck[p]))
	}
	fmt.Fprintf(out, "%d seeds, %d broken: %d jobs acknowledged, %d completed, %d refused; %d subtasks taken, %d of them again; coordinators that died at points: %s; %s of virtual time in %s, %s a seed\n",
		s.Seeds, s.Broken, s.Jobs, s.Completed, s.Refused, s.Runs, s.Again, strings.Join(died, ", "), s.Virtual.Round(time.Second), s.Wall.Round(time.Millisecond), each.Round(time.Millisecond))
	if s.Broken > 0 {
		repeat := fmt.Sprintf("go run ./integration/cmd/sim -from %d -v", s.First)
		if bug != sim.NoBug {
			repeat += " -bug " + string(bug)
		}
		fmt.Fprintf(out, "%s: first broken seed %d; to repeat it: %s\n", name(bug), s.First, repeat)
	} else if bug != sim.NoBug {
		fmt.Fprintf(out, "%s was NOT found\n", bug)
	}
}

func name(bug sim.Bug) string {
	if bug == sim.NoBug {
		return "no planted bug"
	}
	return string(bug)
}
