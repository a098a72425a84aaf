package main

import (
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/tenzro/tenzro/bench/internal/cluster"
	"github.com/tenzro/tenzro/bench/internal/measure"
	"github.com/tenzro/tenzro/bench/internal/report"
)

// profile is a run that only looks where time and memory go.
type profile struct {
	cpu, mem                string // files; empty = not wanted
	jobs, inFlight, workers int
	split, durable          bool
}

func (p profile) wanted() bool { return p.cpu != "" || p.mem != "" }

// run loads a warm cluster and prints what a job took beside the profiles.
func (p profile) run(ctx context.Context, home string) (err error) {
	if p.mem != "" {
		runtime.MemProfileRate = 16 << 10
	}
	c, err := startCluster(ctx, cluster.Config{Home: home, Split: p.split, Durable: p.durable}, p.workers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	stop, err := p.begin()
	if err != nil {
		return err
	}
	r := report.New()
	s, err := measure.Run(ctx, p.inFlight, p.jobs, 0, c.Job)
	if err = errors.Join(err, stop()); err != nil {
		return err
	}
	report.AddLoad(r.Table("Profiled jobs", report.LoadHead()...), p.workers, p.inFlight, s)
	return r.Write(os.Stdout, false)
}

// begin starts the CPU profile; the returned function ends it and writes the
// allocations.
func (p profile) begin() (stop func() error, err error) {
	var cpu *os.File
	if p.cpu != "" {
		if cpu, err = os.Create(p.cpu); err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return nil, errors.Join(err, cpu.Close())
		}
	}
	return func() error {
		var errs []error
		if cpu != nil {
			pprof.StopCPUProfile()
			errs = append(errs, cpu.Close())
		}
		return errors.Join(append(errs, p.writeMem())...)
	}, nil
}

func (p profile) writeMem() error {
	if p.mem == "" {
		return nil
	}
	f, err := os.Create(p.mem)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
