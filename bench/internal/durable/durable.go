// Package durable is a region's durable journal under load: a group of one, and
// the two records every job makes in it.
//
// It has no network, no HTTP and no workers: what it costs is what durability
// adds to a job. It guarantees that Job returns once the end of the job is on
// disk.
package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/bench/internal/tiny"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/keys"
)

const (
	region    = core.RegionID("bench")
	startTime = time.Minute
)

// Rig is a journal that runs.
type Rig struct {
	*journal.Group
	stop   context.CancelFunc
	served chan error
	prefix string
	next   atomic.Uint64
	worker *keys.Identity
	proof  core.Proof
}

// Open starts the journal in dir, which may be new, and returns once it takes
// jobs. Jobs of the rig are named prefix and a number.
func Open(ctx context.Context, dir, prefix string) (*Rig, error) {
	worker := keys.FromSeed([32]byte{1})
	g, err := journal.OpenGroup(journal.GroupConfig{Dir: dir, Self: worker.ID(), Region: region, Network: "bench"}, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	r := &Rig{Group: g, served: make(chan error, 1), prefix: prefix, worker: worker, proof: prove(worker)}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	err = g.Found()
	go func() { r.served <- g.Serve(serving) }()
	if err == nil {
		err = r.lead(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// lead waits until the journal takes jobs.
func (r *Rig) lead(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, startTime)
	defer done()
	leads := false
	r.Lead(ctx, func(context.Context, uint64) { leads = true; done() })
	if !leads {
		return fmt.Errorf("the journal does not lead within %s: %w", startTime, context.Cause(ctx))
	}
	return nil
}

func prove(worker *keys.Identity) core.Proof {
	p := core.Proof{OperationType: "compute", NodeID: worker.ID(), Timestamp: time.Now().UnixMilli(),
		InputHash: core.Sum([]byte(tiny.Data)), OutputHash: core.Sum([]byte(tiny.Result)), ResultMetric: 1}
	keys.SignProof(worker, &p)
	return p
}

// Job records a job and its end, with the result and proof that a real one has.
func (r *Rig) Job(ctx context.Context) error {
	_, err := r.Run(ctx)
	return err
}

// Run is Job and returns the job's id.
func (r *Rig) Run(ctx context.Context) (core.TaskID, error) {
	id := core.NewTaskID(region, r.prefix+strconv.FormatUint(r.next.Add(1), 10))
	spec := core.TaskSpec{Type: "compute", Data: json.RawMessage(tiny.Data)}
	now := time.Now().UTC()
	if err := r.Commit(ctx, jobs.NewJob(id, spec, r.worker.ID(), now)); err != nil {
		return id, err
	}
	result := core.TaskResult{TaskID: id, Status: core.TaskCompleted, Result: json.RawMessage(tiny.Result), Proofs: []core.Proof{r.proof},
		Workers: []core.NodeID{r.worker.ID()}, Regions: []core.RegionID{region}}
	_, err := r.End(ctx, result, time.Now().UTC())
	return id, err
}

// Close ends the journal; its directory can be opened again.
func (r *Rig) Close() error {
	r.stop()
	return errors.Join(<-r.served, r.Group.Close())
}
