package regional

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// What a regional node answers people directly, without a gateway.

// Distribute implements the documented POST /tasks of a regional node: the job
// starts here and now, without a gateway.
func (v *Validator) Distribute(ctx context.Context, id core.TaskID, spec core.TaskSpec) (nodesAssigned int, err error) {
	if err := spec.Validate(); err != nil {
		return 0, err
	}
	if _, err := v.check(spec); err != nil {
		return 0, err
	}
	if _, err := v.deps.Journal.Get(id); err == nil {
		return 0, core.Errorf(core.Exists, "taskId", "task %s exists already", id)
	}
	x, err := v.record(ctx, jobs.NewJob(id, spec, v.deps.Signer.ID(), time.Now().UTC()))
	if err != nil {
		return 0, err
	}
	capable := v.deps.Workers.Select(time.Now(), spec.Requirements, spec.Type, core.MaxParallelism, 0)
	go func() {
		ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), spec.Until(time.Now()))
		defer cancel()
		x.run(ctx, func(float64) {})
	}()
	return min(len(capable), x.job.Subtasks), nil
}

// AcceptResult implements the documented POST /results. Such a result carries no
// signature, so the region computes the subtask itself and takes the result only
// if the bytes are the same; node must hold the subtask.
func (v *Validator) AcceptResult(ctx context.Context, id core.TaskID, node core.NodeID, result json.RawMessage) error {
	v.mu.Lock()
	x := v.runs[id]
	v.mu.Unlock()
	if x == nil {
		return core.Errorf(core.NotFound, "taskId", "task %s is not running in this region", id)
	}
	return x.report(ctx, node, result)
}

// report takes a result that came without a proof: it counts if node holds a
// subtask and computing it here gives the same bytes.
func (x *execution) report(ctx context.Context, node core.NodeID, result json.RawMessage) error {
	x.mu.Lock()
	parts := x.parts
	x.mu.Unlock()
	d := x.v.deps.Dispatcher
	held := false
	for i := range parts {
		data := parts[i].data // the one field that never changes
		holder, lease, ok := d.Holder(jobs.Key{Task: x.id(), Index: i})
		if !ok || holder != node {
			continue
		}
		held = true
		out, err := x.v.deps.Executors[x.job.Spec.Type].Run(ctx, data, compute.Report{})
		if err != nil {
			return err
		}
		if !bytes.Equal(out.Result, result) {
			continue // it may be that of another subtask that node holds
		}
		proof := x.v.prove(x.job.Spec.Type, jobs.InputHash(data), out.Result, out.Metric)
		return d.Deliver(ctx, holder, &wire.JobResult{Lease: lease, TaskID: x.id(), Index: i, Attempt: 1,
			Output: wire.Payload{Inline: out.Result}, Proofs: []core.Proof{proof}})
	}
	if held {
		return core.Errorf(core.Invalid, "result", "the region computed another value for what node %.64s holds", node)
	}
	return core.Errorf(core.NotFound, "nodeId", "node %.64s holds no subtask of task %s", node, x.id())
}

// NetworkState implements the documented GET /network/state of a regional node.
func (v *Validator) NetworkState(context.Context) (core.RegionalState, error) {
	s := core.RegionalState{Nodes: []core.NodeState{}, Aggregations: []core.AggregationState{}}
	for _, n := range v.deps.Workers.All(time.Now()) {
		if n.State != core.Online || !n.Ad.Can.Has(core.CanCompute) || n.Region != "" && n.Region != v.deps.Region() {
			continue
		}
		free := n.Ad.Resources
		free.FreeCPU, free.FreeMemoryMB = n.Free.CPU, n.Free.MemoryMB
		s.Nodes = append(s.Nodes, core.NodeState{ID: n.Ad.NodeID, Type: core.Local.String(), Tier: n.Ad.Tier,
			Capacity: free.Free(), ActiveTaskCount: v.deps.Dispatcher.ActiveOf(n.Ad.NodeID)})
	}
	if v.deps.Aggregations != nil {
		s.Aggregations = append(s.Aggregations, v.deps.Aggregations()...)
	}
	s.TotalTasksInProgress = v.InProgress()
	s.AverageTaskDuration = v.metrics.AverageMS()
	return s, nil
}
