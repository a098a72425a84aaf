// Command dispatch measures what a node costs above the floor: the same tiny job
// through HTTP and the real node code, with workers linked over loopback. It
// prints tables, and rows that are held to a bar; it exits with 1 when one falls
// short, unless -quick was given.
//
// With -cpuprofile or -memprofile it measures nothing else: it runs -jobs jobs,
// -inflight at a time, on -workers workers, and writes the profiles.
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
	var o options
	flag.BoolVar(&o.onlyJobs, "onlyjobs", false, "only the rows that hold jobs against the floor: half a minute")
	quick := flag.Bool("quick", false, "few jobs and workers: shows that it works, not how fast; never fails a row")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.StringVar(&o.profile.cpu, "cpuprofile", "", "write a CPU profile of the jobs to `file`")
	flag.StringVar(&o.profile.mem, "memprofile", "", "write a profile of all allocations to `file`")
	flag.IntVar(&o.profile.jobs, "jobs", 20_000, "with a profile: how many jobs")
	flag.IntVar(&o.profile.inFlight, "inflight", 128, "with a profile: how many at a time")
	flag.IntVar(&o.profile.workers, "workers", 10, "with a profile: on how many workers")
	flag.BoolVar(&o.profile.split, "split", false, "with a profile: give the gateway a node of its own")
	flag.BoolVar(&o.profile.durable, "durable", false, "with a profile: keep the journal on disk")
	flag.Parse()
	o.plan = full()
	if *quick {
		o.plan = smoke()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	collector.Tune(os.LookupEnv, collector.Memory(ctx)) // as `tenzro run` does
	short, err := run(ctx, o, *asJSON)
	stop()
	os.Exit(report.Verdict(os.Stderr, "dispatch", short, *quick, err))
}

// options is what the flags say.
type options struct {
	plan     plan
	onlyJobs bool
	profile  profile
}

// run measures and returns how many rows fall short.
func run(ctx context.Context, o options, asJSON bool) (short int, err error) {
	home, err := os.MkdirTemp("", "tenzro-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(home)
	if o.profile.wanted() {
		return 0, o.profile.run(ctx, home)
	}
	b := &bench{plan: o.plan, onlyJobs: o.onlyJobs, home: home, report: report.New()}
	err = errors.Join(b.run(ctx), b.close())
	if err != nil {
		return 0, err
	}
	return b.report.Short(), b.report.Write(os.Stdout, asJSON)
}
