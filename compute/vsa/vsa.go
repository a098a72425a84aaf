package vsa

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// Type is the task type of a program.
const Type core.TaskType = "vsa"

// recheckUnits is up to what cost Validate runs a program again instead of looking
// at the form of its result only: some 200 us, as gateway and region pay for it.
const recheckUnits = 200_000

// Programs is the engine of programs and its planner. It has no state and is safe
// for concurrent use.
type Programs struct{}

var (
	_ compute.Executor = Programs{}
	_ compute.Planner  = Programs{}
)

// Run implements compute.Executor.
func (Programs) Run(ctx context.Context, data json.RawMessage, report compute.Report) (compute.Output, error) {
	p, err := decode(data)
	if err != nil {
		return compute.Output{}, err
	}
	out, err := p.run(ctx, report.Progress)
	return compute.Output{Result: out, Metric: 1}, err
}

// Check implements compute.Planner.
func (Programs) Check(data json.RawMessage) (compute.Cost, error) {
	p, err := decode(data)
	if err != nil {
		return compute.Cost{}, err
	}
	return compute.Cost{Elements: len(p.given), Units: p.units, MaxShards: p.maxShards(), Judge: p.judge()}, nil
}

// judge estimates what Validate computes.
func (p *program) judge() float64 {
	if p.units > recheckUnits {
		return 0
	}
	return p.units
}

// findCut sets the one search that a program can be cut at, -1 for none: the rest
// of the steps run again with every part, so they must cost less.
func (p *program) findCut() error {
	p.cut = -1
	all := 0.0
	for i := range p.steps {
		all += p.steps[i].units
		if p.steps[i].op.gives != someMatches {
			continue
		}
		if p.cut >= 0 {
			p.cut = -1
			return nil
		}
		p.cut = i
	}
	if p.cut >= 0 && (p.steps[p.cut].units < all/2 || !slices.Contains(p.results, len(p.given)+p.cut)) {
		p.cut = -1
	}
	return nil
}

func (p *program) maxShards() int {
	if p.cut < 0 {
		return 1
	}
	return min(p.steps[p.cut].book.len(), core.MaxParallelism)
}

// Split implements compute.Planner. One shard is data itself.
func (Programs) Split(data json.RawMessage, shards int) ([]json.RawMessage, error) {
	p, err := decode(data)
	if err != nil {
		return nil, err
	}
	if err := compute.CheckShards(shards, p.maxShards()); err != nil {
		return nil, err
	}
	if shards == 1 {
		return []json.RawMessage{data}, nil
	}
	parts := make([]json.RawMessage, shards)
	for i := range parts {
		if parts[i], err = json.Marshal(p.shard(i, shards)); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// bound returns where part i of n of the codebook begins.
func (p *program) bound(i, n int) int { return p.steps[p.cut].book.len() * i / n }

// shard is the data of part i of n: a part of the codebook, and of the given
// vectors those that it or another step needs.
func (p *program) shard(i, n int) programData {
	d, at := p.data, p.cut
	d.Steps = append([]stepData(nil), d.Steps...)
	part := d.Steps[at].Codebook.cut(p.bound(i, n), p.bound(i+1, n))
	d.Steps[at].Codebook = &part
	needed := map[string]bool{}
	need := func(names []string) {
		for _, name := range names {
			needed[name] = true
		}
	}
	need(d.Result)
	for _, st := range d.Steps {
		need(st.Of)
		if st.Codebook != nil {
			need(st.Codebook.Names)
		}
	}
	d.Vectors = nil
	for _, it := range p.data.Vectors {
		if needed[it.Name] {
			d.Vectors = append(d.Vectors, it)
		}
	}
	return d
}

// Merge implements compute.Planner.
func (Programs) Merge(data json.RawMessage, partials []json.RawMessage) (json.RawMessage, error) {
	p, err := decode(data)
	if err != nil {
		return nil, err
	}
	n := len(partials)
	if err := compute.CheckPartials(n, p.maxShards()); err != nil {
		return nil, err
	}
	if n == 1 {
		if _, err := p.read("shard[0]", partials[0]); err != nil {
			return nil, err
		}
		return partials[0], nil
	}
	return p.merge(partials)
}

// Validate implements compute.Planner. A result of a small program is computed
// again; of a bigger one the form is checked, and the range of every value.
func (Programs) Validate(data, result json.RawMessage) error {
	p, err := decode(data)
	if err != nil {
		return err
	}
	if len(result) > core.MaxTaskBytes {
		return corrupt("result", "has %d bytes; at most %d can be delivered", len(result), core.MaxTaskBytes)
	}
	if _, err := p.read("result", result); err != nil || p.judge() == 0 {
		return err
	}
	again, err := p.run(context.Background(), func(float64) {})
	if err != nil {
		return err
	}
	if !bytes.Equal(again, result) {
		return corrupt("result", "is not what the program gives")
	}
	return nil
}
