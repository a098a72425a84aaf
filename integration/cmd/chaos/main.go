// Command chaos starts a network of real processes, puts load on it, kills,
// freezes and partitions nodes, and reports what became of every job. It exits
// with 1 when an invariant broke, 2 when the flags are wrong, 3 when the machine
// cannot do what the scenario needs (network namespaces, small volumes).
//
//	go run ./integration/cmd/chaos
//	go run ./integration/cmd/chaos -scenario workers
//	go run ./integration/cmd/chaos -scenario rounds -jobs 0 -rounds 50 -lease 5s
//	go run ./integration/cmd/chaos -scenario mixed -seed 7 -duration 10m -faults kill-worker,freeze-gateway -o json
//
// Homes and logs are in a temporary directory, which is removed when every
// invariant held; -keep keeps it, -dir chooses it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tenzro/tenzro/integration/chaos"
	"github.com/tenzro/tenzro/integration/testnet"
)

// The exit codes.
const (
	exitHeld   = 0
	exitBroken = 1
	exitUsage  = 2
	exitUnable = 3
)

// command is what the flags say.
type command struct {
	options  chaos.Options
	scenario string
	format   string
	faults   string
	keep     bool
	quiet    bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run parses, runs and prints; it returns the exit code.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	c := &command{}
	flags := c.flags(errs)
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return exitHeld
	} else if err != nil {
		return exitUsage
	}
	s, err := c.check(flags.Args())
	if err != nil {
		fmt.Fprintln(errs, "chaos:", err)
		return exitUsage
	}
	report, err := c.run(ctx, s, errs)
	if errors.Is(err, chaos.ErrNoWalls) || errors.Is(err, chaos.ErrNoVolumes) {
		fmt.Fprintf(errs, "chaos: skipped %s: %v\n", s.Name(), err)
		return exitUnable
	}
	if report != nil {
		err = errors.Join(err, c.print(report, out))
	}
	switch {
	case err != nil:
		fmt.Fprintln(errs, "chaos:", err)
		return exitBroken
	case len(report.Broken) > 0:
		return exitBroken
	}
	return exitHeld
}

func (c *command) flags(errs io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.SetOutput(errs)
	o := &c.options
	f.StringVar(&c.scenario, "scenario", "mixed", "what happens: one of those below")
	f.Uint64Var(&o.Seed, "seed", 0, "of the faults; 0 draws one and prints it")
	f.IntVar(&o.Jobs, "jobs", 0, "how many jobs come; 0: the scenario's number")
	f.DurationVar(&o.Duration, "duration", 0, "how long jobs come, instead of a number of them")
	f.Float64Var(&o.Rate, "rate", 0, "jobs per second; 0: the scenario's rate")
	f.DurationVar(&o.CPU, "cpu", 0, "processor time of a job; 0: the scenario's")
	f.IntVar(&o.Parts, "parts", 0, "subtasks of a job; 0: the scenario's number")
	f.IntVar(&o.Rounds, "rounds", 0, "rounds of the scenarios rounds and gateway; 0: the scenario's number")
	f.DurationVar(&o.Pause, "pause", 0, "between two faults, or how long one lasts; 0: the scenario's")
	f.StringVar(&c.faults, "faults", "", "faults to choose from, separated by commas; empty: the scenario's")
	f.IntVar(&o.Workers, "nodes", 0, "workers; 0: the scenario's number")
	f.IntVar(&o.Gateways, "gateways", 0, "gateways; 0: the scenario's number")
	f.IntVar(&o.Coordinators, "coordinators", 0, "coordinators of the region; 0: the scenario's number")
	f.BoolVar(&o.Group, "group", false, "the coordinators keep the region together (--region-admit open)")
	f.DurationVar(&o.Lease, "lease", 0, "lease of a subtask; 0: the node's default")
	f.BoolVar(&o.AnyGateway, "any-gateway", false, "a repeated key must find its job at every gateway, not only at the one that took it")
	f.BoolVar(&o.Short, "short", false, "the version that go test runs")
	f.StringVar(&o.Binary, "binary", "", "`path` of the tenzro to run; empty: built from this module")
	f.StringVar(&o.Dir, "dir", "", "`directory` for homes and logs; empty: a temporary one")
	f.BoolVar(&c.keep, "keep", false, "keep homes and logs also when every invariant held")
	f.BoolVar(&c.quiet, "q", false, "do not tell what happens")
	f.StringVar(&c.format, "o", "text", "`format` of the report: text or json")
	f.Usage = func() { usage(f, errs) }
	return f
}

func usage(f *flag.FlagSet, w io.Writer) {
	fmt.Fprint(w, "chaos runs a network of real processes under load, hurts it, and reports what became of every job.\n\nFlags:\n")
	f.PrintDefaults()
	fmt.Fprint(w, "\nScenarios:\n")
	for _, s := range chaos.Scenarios() {
		fmt.Fprintf(w, "  %-10s %s\n", s.Name(), s.About())
	}
	if err := chaos.CanWall(); err != nil {
		fmt.Fprintf(w, "\nHere partition and loss are skipped: %v\n", err)
	}
	if err := chaos.CanMount(); err != nil {
		fmt.Fprintf(w, "\nHere disk is skipped: %v\n", err)
	}
}

// check returns the scenario, or what is wrong with the flags.
func (c *command) check(rest []string) (chaos.Scenario, error) {
	if len(rest) > 0 {
		return nil, fmt.Errorf("%q is no flag; -help lists them", rest[0])
	}
	if c.format != "text" && c.format != "json" {
		return nil, fmt.Errorf("-o is %q; it must be text or json", c.format)
	}
	o := &c.options
	for name, n := range map[string]float64{"jobs": float64(o.Jobs), "rate": o.Rate, "rounds": float64(o.Rounds), "nodes": float64(o.Workers),
		"gateways": float64(o.Gateways), "coordinators": float64(o.Coordinators), "parts": float64(o.Parts), "duration": float64(o.Duration), "pause": float64(o.Pause), "lease": float64(o.Lease), "cpu": float64(o.CPU)} {
		if n < 0 {
			return nil, fmt.Errorf("-%s is negative", name)
		}
	}
	if c.faults != "" {
		o.Faults = strings.Split(c.faults, ",")
	}
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	s, err := chaos.Find(c.scenario)
	if err != nil {
		return nil, err
	}
	if err := chaos.CheckFaults(s, o.Faults); err != nil {
		return nil, fmt.Errorf("-faults: %w", err)
	}
	return s, nil
}

// run makes the directory and the binary where none are named, and runs.
func (c *command) run(ctx context.Context, s chaos.Scenario, errs io.Writer) (*chaos.Report, error) {
	o := c.options
	o.Logf = func(format string, args ...any) {
		if !c.quiet {
			fmt.Fprintf(errs, "%s %s\n", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
		}
	}
	temporary := o.Dir == ""
	if err := prepare(&o); err != nil {
		return nil, err
	}
	report, err := chaos.Run(ctx, s, o)
	if temporary && !c.keep && err == nil && len(report.Broken) == 0 {
		return report, os.RemoveAll(o.Dir)
	}
	fmt.Fprintf(errs, "chaos: homes and logs are in %s\n", o.Dir)
	return report, err
}

func prepare(o *chaos.Options) error {
	var err error
	if o.Dir == "" {
		o.Dir, err = os.MkdirTemp("", "tenzro-chaos-")
	} else {
		o.Dir, err = filepath.Abs(o.Dir)
	}
	if err != nil {
		return err
	}
	if o.Binary == "" {
		o.Binary = filepath.Join(o.Dir, "tenzro")
		return testnet.Build(o.Binary)
	}
	o.Binary, err = filepath.Abs(o.Binary)
	return err
}

func (c *command) print(r *chaos.Report, out io.Writer) error {
	if c.format == "json" {
		return r.JSON(out)
	}
	return r.Text(out)
}
