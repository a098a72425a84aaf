// Command durable measures what it costs that a job outlives its region's
// process: the durable journal against NATS JetStream with sync always, on the
// same disk. It prints tables, and rows that are held to a bar; it exits with 1
// when one falls short, unless -quick was given.
//
// Each job makes two records, its acceptance and its end, and counts once both
// are synced; a message of the yardstick is one record. The directory of -dir
// must be on a disk: on a tmpfs nothing is synced.
package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/signal"

	"github.com/tenzro/tenzro/bench/internal/report"
	"github.com/tenzro/tenzro/internal/cli/collector"
)

func main() {
	quick := flag.Bool("quick", false, "few jobs: shows that it works, not how fast; never fails a row")
	asJSON := flag.Bool("json", false, "print JSON")
	dir := flag.String("dir", "", "directory on the disk to measure; empty: the system's for temporary files")
	victim := flag.String("victim", "", "used by the program itself: fill the journal in `dir` until killed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	collector.Tune(os.LookupEnv, collector.Memory(ctx)) // as `tenzro run` does
	p := full()
	if *quick {
		p = smoke()
	}
	var short int
	var err error
	if *victim != "" {
		err = fill(ctx, *victim, os.Stdout)
	} else {
		short, err = run(ctx, p, *dir, *asJSON)
	}
	stop()
	os.Exit(report.Verdict(os.Stderr, "durable", short, *quick, err))
}

// plan is how much is measured.
type plan struct {
	pairs    int // alternating measurements of yardstick and subject
	messages int // in one half of a pair
	jobs     int // in the other
	whole    int // whole jobs over HTTP in the other half of a pair
	memory   int // finished jobs of the memory row
	finished int // jobs in the journal that is opened again
}

// flight is how many jobs and messages are under way at once.
const flight = 64

func full() plan {
	return plan{pairs: 5, messages: 4000, jobs: 6000, whole: 4000, memory: 10_000, finished: 100_000}
}

func smoke() plan {
	return plan{pairs: 2, messages: 200, jobs: 300, whole: 200, memory: 500, finished: 1000}
}

// run measures and returns how many rows fall short.
func run(ctx context.Context, p plan, dir string, asJSON bool) (short int, err error) {
	home, err := os.MkdirTemp(dir, "tenzro-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(home)
	b := &bench{plan: p, home: home, report: report.New()}
	for _, step := range []func(context.Context) error{b.rate, b.whole, b.crash} {
		if err := step(ctx); err != nil {
			return 0, errors.Join(err, ctx.Err())
		}
	}
	return b.report.Short(), b.report.Write(os.Stdout, asJSON)
}
