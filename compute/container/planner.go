package container

import (
	"encoding/json"
	"fmt"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

const (
	// startUnits is what starting and removing a container takes, in nanoseconds: about
	// half a second. It also keeps every container above what a planner computes again.
	startUnits = 500e6
	// maxTail is how much of its standard error is told when a program failed.
	maxTail = 300
)

// Planner is how a gateway and a region check a task. A container is never cut.
type Planner struct{}

var (
	_ compute.Planner = Planner{}
	_ compute.Program = Planner{}
	_ compute.Needer  = Planner{}
)

// Check implements compute.Planner. The cost is that of all the time and the cores: how
// much of it a program needs is not known before it has run.
func (Planner) Check(data json.RawMessage) (compute.Cost, error) {
	t, err := Decode(data)
	if err != nil {
		return compute.Cost{}, err
	}
	return compute.Cost{Elements: 1, Units: t.Limits.units(), MaxShards: 1}, nil
}

// Split implements compute.Planner.
func (Planner) Split(data json.RawMessage, shards int) ([]json.RawMessage, error) {
	if err := compute.CheckShards(shards, 1); err != nil {
		return nil, err
	}
	return []json.RawMessage{data}, nil
}

// Merge implements compute.Planner.
func (p Planner) Merge(data json.RawMessage, partials []json.RawMessage) (json.RawMessage, error) {
	if err := compute.CheckPartials(len(partials), 1); err != nil {
		return nil, err
	}
	if err := p.Validate(data, partials[0]); err != nil {
		return nil, core.Errorf(core.Corrupt, "shard[0]", "%w", err)
	}
	return partials[0], nil
}

// Validate implements compute.Planner. Any output is possible: the form is all there is
// to judge.
func (Planner) Validate(data, result json.RawMessage) error {
	if _, err := Decode(data); err != nil {
		return err
	}
	r, err := DecodeResult(result)
	if err != nil {
		return err
	}
	if !r.canonical(result) {
		return corrupt("is not written in the canonical form")
	}
	return nil
}

// Needs implements compute.Needer: the image. Where it is a hole, any container has to
// do, which in a map the type of the task does not say.
func (Planner) Needs(data json.RawMessage) core.TaskType {
	var t struct {
		Image json.RawMessage `json:"image"`
	}
	var image string
	if json.Unmarshal(data, &t) != nil || json.Unmarshal(t.Image, &image) != nil {
		return Type
	}
	ref, err := ParseRef(image)
	if err != nil {
		return Type
	}
	return ref.Runtime()
}

// Outline implements compute.Program. The code is in the image, so nothing can be left
// out.
func (Planner) Outline(data json.RawMessage) json.RawMessage { return data }

// Output implements compute.Program. The message ends with the last of what the program
// had to say.
func (Planner) Output(result json.RawMessage) ([]byte, error) {
	r, err := DecodeResult(result)
	if err == nil && r.ExitCode != 0 {
		err = &core.Failure{Reason: core.ReasonExecutionFailed,
			Message: fmt.Sprintf("the program ended with exit code %d%s", r.ExitCode, tail(r.Stderr))}
	}
	return r.Stdout, err
}
