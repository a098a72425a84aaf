// Command compute measures what the engines of tasks cost by themselves, without
// network and nodes. It prints tables, and rows that are held to a bar; it exits
// with 1 when one falls short, unless -quick was given.
//
// Each group of rows is a file and a line of groups.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/tenzro/tenzro/bench/internal/report"
	"github.com/tenzro/tenzro/compute/sandbox"
)

func main() {
	if sandbox.Main(guests()) {
		return
	}
	quick := flag.Bool("quick", false, "few repetitions: shows that it works, not how fast; never fails a row")
	asJSON := flag.Bool("json", false, "print JSON")
	only := flag.String("only", "", "measure one `GROUP`: "+strings.Join(names(), ", "))
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	short, err := run(ctx, *quick, *only, *asJSON)
	stop()
	os.Exit(report.Verdict(os.Stderr, "compute", short, *quick, err))
}

// bench is one run.
type bench struct {
	quick  bool
	report *report.Report
}

// group measures what belongs together.
type group struct {
	name    string
	measure func(*bench, context.Context) error
}

func groups() []group {
	return []group{{"wasm", (*bench).wasm}, {"vsa", (*bench).vsa}}
}

func names() (all []string) {
	for _, g := range groups() {
		all = append(all, g.name)
	}
	return all
}

// run measures and returns how many rows fall short.
func run(ctx context.Context, quick bool, only string, asJSON bool) (short int, err error) {
	b := &bench{quick: quick, report: report.New()}
	known := only == ""
	for _, g := range groups() {
		if only != "" && g.name != only {
			continue
		}
		known = true
		if err := g.measure(b, ctx); err != nil {
			return 0, errors.Join(err, ctx.Err())
		}
	}
	if !known {
		return 0, fmt.Errorf("there is no group %q; the groups are %s", only, strings.Join(names(), ", "))
	}
	return b.report.Short(), b.report.Write(os.Stdout, asJSON)
}
