// Package collector chooses how much memory the garbage collector may let a node
// use. It is not a limit on tasks, which package compute keeps, and knows nothing
// of nodes: commands that run one call Tune first, and so do the benchmarks.
//
// It guarantees that what the operator says with GOGC or GOMEMLIMIT stays as it
// is.
package collector

import (
	"context"
	"runtime/debug"

	"github.com/tenzro/tenzro/compute"
)

const (
	// Percent is GOGC: how much may be allocated between two collections, in
	// percent of what the last one left. The runtime's own 100 costs a node, whose
	// live memory is small, many collections a second under load.
	Percent = 400
	// share is how much of the machine's memory, in percent, the heap may reach
	// before the collector works harder, whatever Percent says.
	share = 75
)

// Settings is what a process was told. A zero field was left to the operator or,
// where the machine's memory cannot be read, to the runtime.
type Settings struct {
	Percent int
	Limit   int64 // bytes
}

// Tune sets the collector of this process up. lookup is os.LookupEnv, and memory
// the bytes this process may use at most, as Memory tells them; 0 is unknown.
func Tune(lookup func(string) (string, bool), memory int64) Settings {
	s := choose(lookup, memory)
	if s.Percent != 0 {
		debug.SetGCPercent(s.Percent)
	}
	if s.Limit != 0 {
		debug.SetMemoryLimit(s.Limit)
	}
	return s
}

func choose(lookup func(string) (string, bool), memory int64) (s Settings) {
	_, limited := lookup("GOMEMLIMIT")
	if !limited && memory > 0 {
		s.Limit = memory / 100 * share
	}
	_, paced := lookup("GOGC")
	if !paced && (limited || s.Limit > 0) { // never more garbage without a bound
		s.Percent = Percent
	}
	return s
}

// Memory returns the bytes of this machine, or of the group that this process is
// confined to; 0 where they cannot be read.
func Memory(ctx context.Context) int64 {
	bytes, err := compute.Memory(ctx)
	if err != nil {
		return 0 // the runtime's own settings are always right
	}
	return bytes
}
