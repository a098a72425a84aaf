package workflow

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Planner is how a gateway and a region check a workflow before it runs. It is
// never cut: its steps are.
type Planner struct {
	// Tasks are the planners of the types that steps may have.
	Tasks map[core.TaskType]compute.Planner
}

var _ compute.Planner = Planner{}

// Parse is the package's Parse with the planners as Check: a step of an unknown
// type or with data that its planner refuses is an error.
func (p Planner) Parse(data json.RawMessage) (*Plan, error) { return Parse(data, p.check) }

func (p Planner) check(spec core.TaskSpec, whole bool) error {
	planner, ok := p.Tasks[spec.Type]
	if !ok {
		return bad("type", "type %.32q is not a task type of this network", spec.Type).WithHint(compute.TypesHint(p.Tasks))
	}
	if !whole {
		return nil
	}
	_, err := planner.Check(spec.Data)
	return err
}

// Check implements compute.Planner.
func (p Planner) Check(data json.RawMessage) (compute.Cost, error) {
	plan, err := p.Parse(data)
	if err != nil {
		return compute.Cost{}, under("data", err)
	}
	return compute.Cost{Elements: plan.Len(), Units: float64(plan.Len()), MaxShards: 1}, nil
}

// CheckNew checks a workflow that comes from its submitter: also its deadlines.
func (p Planner) CheckNew(data json.RawMessage, now time.Time) error {
	plan, err := p.Parse(data)
	if err == nil {
		err = plan.CheckDeadlines(now)
	}
	return under("data", err)
}

// Split implements compute.Planner.
func (Planner) Split(data json.RawMessage, shards int) ([]json.RawMessage, error) {
	if shards != 1 {
		return nil, bad("shards", "%d shards asked for; a workflow is never cut", shards)
	}
	return []json.RawMessage{data}, nil
}

// Merge implements compute.Planner.
func (Planner) Merge(_ json.RawMessage, partials []json.RawMessage) (json.RawMessage, error) {
	if len(partials) != 1 {
		return nil, bad("partials", "%d partial results given; a workflow has 1", len(partials))
	}
	return partials[0], nil
}

// Validate implements compute.Planner.
func (Planner) Validate(_, result json.RawMessage) error {
	if err := deliverable(result); err != nil {
		return core.Errorf(core.Corrupt, "result", "%w", err)
	}
	return nil
}

// deliverable checks that a text can travel as a payload.
func deliverable(text json.RawMessage) error {
	if len(text) > core.MaxTaskBytes {
		return bad("", "it has %d bytes; at most %d can be delivered", len(text), core.MaxTaskBytes)
	}
	var whole json.RawMessage
	return wire.DecodeStrict(text, &whole)
}

// under puts the field of an error below another one.
func under(parent string, err error) error {
	inner := asError(err)
	if inner == nil {
		return err
	}
	op := strings.TrimSuffix(parent+"."+inner.Op, ".")
	return core.Errorf(inner.Kind, op, "%w", err).WithHint(inner.Hint)
}

func asError(err error) *core.Error {
	var e *core.Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}
