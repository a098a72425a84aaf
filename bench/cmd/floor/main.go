// Command floor prints the least that a verified job between two nodes costs on
// this machine: over one reused libp2p stream, in one process, with nothing
// queued, leased or recorded.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/tenzro/tenzro/bench/internal/floor"
	"github.com/tenzro/tenzro/bench/internal/measure"
	"github.com/tenzro/tenzro/bench/internal/report"
	"github.com/tenzro/tenzro/bench/internal/tiny"
)

func main() {
	quick := flag.Bool("quick", false, "few jobs: shows that it works, not how fast")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *quick, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, quick, asJSON bool) error {
	jobs := 20_000
	if quick {
		jobs = 500
	}
	rig, err := floor.Start(ctx, json.RawMessage(tiny.Data), tiny.Result)
	if err != nil {
		return err
	}
	defer rig.Close()
	if _, err := measure.Run(ctx, 16, jobs/10, 0, rig.Job); err != nil {
		return err
	}
	r := report.New()
	t := r.Table("A signed tiny job over one reused libp2p stream, in one process", report.LoadHead()...)
	for _, inFlight := range []int{1, 16, 128} {
		s, err := measure.Run(ctx, inFlight, jobs, 0, rig.Job)
		if err != nil {
			return err
		}
		report.AddLoad(t, "-", inFlight, s)
	}
	return r.Write(os.Stdout, asJSON)
}
