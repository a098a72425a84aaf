package node

import (
	"context"
	"time"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/roles/global"
	"github.com/tenzro/tenzro/roles/regional"
)

// gatewayTasks is the gateway together with the tasks that were assigned to this
// very node, which no region knows.
type gatewayTasks struct {
	*global.Coordinator
	n *Node
}

var (
	_ api.Tasks     = gatewayTasks{}
	_ api.Workflows = gatewayTasks{}
)

// Submit implements api.Tasks.
func (g gatewayTasks) Submit(ctx context.Context, spec core.TaskSpec, key string) (core.TaskStatus, error) {
	if err := g.n.open(); err != nil {
		return core.TaskStatus{}, err
	}
	if spec.QueueTimeoutMS == 0 {
		spec.QueueTimeoutMS = g.n.cfg.Jobs.QueueTimeout.Milliseconds()
	}
	return g.Coordinator.Submit(ctx, spec, key)
}

// open returns nil unless the node is about to stop.
func (n *Node) open() error {
	if !n.draining.Load() {
		return nil
	}
	return core.Errorf(core.Unavailable, "drain", "this node is shutting down").WithHint("submit the task to another node")
}

// Status implements api.Tasks.
func (g gatewayTasks) Status(ctx context.Context, id core.TaskID) (core.TaskStatus, error) {
	if job, ok := g.n.tasks.Assigned(id); ok {
		return job.Status(), nil
	}
	return g.Coordinator.Status(ctx, id)
}

// Result implements api.Tasks.
func (g gatewayTasks) Result(ctx context.Context, id core.TaskID, wait time.Duration) (core.TaskResult, error) {
	if _, ok := g.n.tasks.Assigned(id); ok {
		return g.n.tasks.Result(ctx, id, wait)
	}
	return g.Coordinator.Result(ctx, id, wait)
}

func (n *Node) globalView() api.Global {
	if !n.roleSet().Is(core.Global) {
		return nil
	}
	return globalView{n}
}

// globalView answers for the global role.
type globalView struct{ n *Node }

// NetworkState implements api.Global.
func (v globalView) NetworkState(context.Context) (core.GlobalState, error) {
	return v.n.regions.GlobalState(time.Now()), nil
}

func (n *Node) regionalView() api.Regional {
	if !n.roleSet().Is(core.Regional) {
		return nil
	}
	return regionalView{n.validator, n}
}

// regionalView answers for the regional role.
type regionalView struct {
	*regional.Validator
	n *Node
}

// Distribute implements api.Regional.
func (v regionalView) Distribute(ctx context.Context, id core.TaskID, spec core.TaskSpec) (nodesAssigned int, err error) {
	if err := v.n.open(); err != nil {
		return 0, err
	}
	if err := spec.CheckDeadline(time.Now()); err != nil {
		return 0, err
	}
	return v.Validator.Distribute(ctx, id, spec)
}

func (n *Node) localView() api.Local {
	if !n.roleSet().Is(core.Local) {
		return nil
	}
	return localView{n}
}

// localView answers for the local role.
type localView struct{ n *Node }

// Assign implements api.Local.
func (v localView) Assign(ctx context.Context, id core.TaskID, spec core.TaskSpec) error {
	if err := v.n.open(); err != nil {
		return err
	}
	if !v.n.roleSet().Can().Has(core.CanCompute) {
		return core.Errorf(core.Denied, "role", "this node has no role that computes").WithHint("give it the role local")
	}
	if err := spec.CheckDeadline(time.Now()); err != nil {
		return err
	}
	planner, known := v.n.planners[spec.Type]
	if !known {
		return core.Errorf(core.Invalid, "type", "this node runs no tasks of type %.32q", spec.Type)
	}
	if _, err := planner.Check(spec.Data); err != nil {
		return err
	}
	return v.n.tasks.Assign(ctx, id, spec)
}

// Status implements api.Local.
func (v localView) Status(context.Context) (core.LocalStatus, error) {
	n := v.n
	free := n.capacity.Free()
	free.FreeDiskMB = n.offered().FreeDiskMB
	s := core.LocalStatus{NodeState: core.NodeState{ID: n.identity.ID(), Type: core.Local.String(), Tier: n.tier(),
		Capacity: free.Free(), ActiveTaskCount: n.tasks.Active()}}
	n.mu.Lock()
	groups := n.groups
	n.mu.Unlock()
	if groups != nil {
		s.AggregatedWith = groups.AggregatedWith()
	}
	return s, nil
}

// Aggregate implements api.Local.
func (v localView) Aggregate(ctx context.Context, target core.Tier, timeout time.Duration) (string, error) {
	v.n.mu.Lock()
	groups := v.n.groups
	v.n.mu.Unlock()
	if groups == nil {
		return "", core.Errorf(core.Unavailable, "aggregate", "this node is in no region yet").
			WithHint("try again once the node works for a region, or set --region")
	}
	return groups.Propose(ctx, target, timeout)
}
