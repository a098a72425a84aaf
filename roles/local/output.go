package local

import (
	"context"
	"encoding/json"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/wire"
)

// regionTasks is Tasks towards one region: its coordinators may hear what the
// subtasks that came from it write.
type regionTasks struct {
	*Tasks
	region core.RegionID
}

var _ dispatch.Taker = regionTasks{}

// Of returns the taker of work from a region.
func (t *Tasks) Of(region core.RegionID) dispatch.Taker { return regionTasks{t, region} }

// Take implements dispatch.Taker.
func (t regionTasks) Take(_ core.NodeID, o *wire.JobOffer) (*dispatch.Ticket, *wire.JobReject) {
	return t.take(t.region, o)
}

// Answer implements dispatch.Taker: a local node keeps no jobs, but knows what it
// runs.
func (t regionTasks) Answer(ctx context.Context, from core.NodeID, q *wire.JobQuery) *wire.JobState {
	if q.Output == nil || t.region == "" { // what was assigned to this very node is of no region
		return t.Tasks.Answer(ctx, from, q)
	}
	state := &wire.JobState{ID: q.ID}
	part, err := t.outputs.read(ctx, t.region, q.TaskID, *q.Output)
	if err == nil {
		state.Output.Inline, err = json.Marshal(part)
	}
	state.Fault = wire.FaultOf(err)
	return state
}
