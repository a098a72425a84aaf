package wasm

import (
	"encoding/json"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// fuelPerUnit is how much fuel is one elementary operation of compute.Cost.
const fuelPerUnit = 3

// Planner is how a gateway and a region check a task. A program is never cut.
type Planner struct{}

var _ compute.Planner = Planner{}

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
