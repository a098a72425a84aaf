package wasm

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

const (
	// maxTail is how much of its standard error is told when a program failed.
	maxTail = 300
	// fuelPerUnit is how much fuel is one elementary operation of compute.Cost.
	fuelPerUnit = 3
	// leastModule is the shortest text of a module that a planner accepts: it does not
	// look behind the header.
	leastModule = `"AGFzbQEAAAA="`
	// outlineFrom is from what length on a module is left out of an outline: no name in
	// a task is as long, so its text can stand for nothing else.
	outlineFrom = 4096
)

// Planner is how a gateway and a region check a task. A program is never cut.
type Planner struct{}

var (
	_ compute.Planner = Planner{}
	_ compute.Program = Planner{}
)

// Check implements compute.Planner. The cost is that of all the fuel: how much of
// it a program needs is not known before it has run.
func (Planner) Check(data json.RawMessage) (compute.Cost, error) {
	t, err := Decode(data)
	if err != nil {
		return compute.Cost{}, err
	}
	return compute.Cost{Elements: 1, Units: float64(t.Limits.Fuel) / fuelPerUnit, MaxShards: 1}, nil
}

// Split implements compute.Planner.
func (Planner) Split(data json.RawMessage, shards int) ([]json.RawMessage, error) {
	if shards != 1 {
		return nil, invalid("shards", "submit one task for each part of the input", "%d shards asked for; a program is never cut", shards)
	}
	return []json.RawMessage{data}, nil
}

// Merge implements compute.Planner.
func (p Planner) Merge(data json.RawMessage, partials []json.RawMessage) (json.RawMessage, error) {
	if len(partials) != 1 {
		return nil, invalid("partials", "", "%d partial results given; a program has 1", len(partials))
	}
	if err := p.Validate(data, partials[0]); err != nil {
		return nil, core.Errorf(core.Corrupt, "shard[0]", "%w", err)
	}
	return partials[0], nil
}

// Validate implements compute.Planner.
func (Planner) Validate(data, result json.RawMessage) error {
	t, err := Decode(data)
	if err != nil {
		return err
	}
	r, err := DecodeResult(result)
	if err != nil {
		return err
	}
	if err := r.possible(&t); err != nil {
		return err
	}
	if !r.canonical(result) {
		return corrupt("is not written in the canonical form")
	}
	return nil
}

// Outline implements compute.Program.
func (Planner) Outline(data json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return data
	}
	module := fields["module"]
	if len(module) < outlineFrom || module[0] != '"' { // a hole is an object
		return data
	}
	return bytes.Replace(data, module, []byte(leastModule), 1)
}

// Output implements compute.Program. The message ends with the last of what the
// program had to say, as that of any program that failed.
func (Planner) Output(result json.RawMessage) ([]byte, error) {
	r, err := DecodeResult(result)
	if err == nil && r.ExitCode != 0 {
		tail := string(r.Stderr[max(0, len(r.Stderr)-maxTail):])
		err = &core.Failure{Reason: core.ReasonExecutionFailed, Message: bounded(fmt.Sprintf("the program ended with exit code %d: %s", r.ExitCode, tail))}
	}
	return r.Stdout, err
}
