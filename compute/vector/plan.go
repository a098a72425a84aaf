package vector

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

func opInput(i int) string { return fmt.Sprintf("data.input[%d]", i) }

// extremes returns the indices of the smallest and the largest element.
func extremes(v values) (lo, hi int) {
	for i := range v.len() {
		if less(v.at(i), v.at(lo)) {
			lo = i
		}
		if less(v.at(hi), v.at(i)) {
			hi = i
		}
	}
	return lo, hi
}

// pick copies two elements.
func pick(v values, i, j int) values {
	if v.float {
		return values{floats: []float64{v.floats[i], v.floats[j]}, float: true}
	}
	return values{ints: []int64{v.ints[i], v.ints[j]}}
}

// unit returns the grid shards are cut on: products of floats are rounded block
// by block, everything else may be cut anywhere.
func (p *program) unit() int {
	if p.cut < len(p.steps) && p.steps[p.cut].op.needs.has(needProduct) && p.steps[p.cut].in.float {
		return blockSize
	}
	return 1
}

func (p *program) maxShards() int {
	if p.cut < len(p.steps) && p.steps[p.cut].op.class == global {
		return 1
	}
	units := (p.input.len() + p.unit() - 1) / p.unit()
	return max(1, min(units, core.MaxParallelism))
}

// bound returns where shard i of n begins.
func (p *program) bound(i, n int) int {
	u := p.unit()
	units := (p.input.len() + u - 1) / u
	return min(p.input.len(), units*i/n*u)
}

// Split implements compute.Planner. One shard is data itself.
func (v Vector) Split(data json.RawMessage, shards int) ([]json.RawMessage, error) {
	p, err := v.decode(data)
	if err != nil {
		return nil, err
	}
	if err := compute.CheckShards(shards, p.maxShards()); err != nil {
		return nil, err
	}
	if shards == 1 {
		return []json.RawMessage{data}, nil
	}
	tail := p.shardTail()
	numbers := splitter{raw: p.inputRaw[1:]}
	parts := make([]json.RawMessage, shards)
	for i := range parts {
		lo, hi := p.bound(i, shards), p.bound(i+1, shards)
		own := numbers.next(hi - lo)
		b := make([]byte, 0, len(own)+len(tail)+40)
		b = append(append(append(b, `{"input":[`...), own...), ']')
		b = strconv.AppendInt(append(b, `,"offset":`...), int64(p.offset+lo), 10)
		parts[i] = append(b, tail...)
	}
	return parts, nil
}

// shardTail returns what all shards have in common, after the offset.
func (p *program) shardTail() []byte {
	steps := p.steps
	tail := []byte{}
	if p.input.float {
		tail = append(tail, `,"float":true`...)
	}
	if p.cut < len(steps) {
		tail = append(tail, `,"partial":true`...)
		steps = steps[:p.cut+1]
	}
	tail = append(tail, `,"operations":[`...)
	for i := range steps {
		if i > 0 {
			tail = append(tail, ',')
		}
		tail = append(tail, steps[i].raw...)
	}
	return append(tail, ']', '}')
}

// splitter hands out consecutive numbers of an array as the bytes they are.
type splitter struct {
	raw []byte // after '[' or ','; ends with ']'
}

// next returns n numbers without the separator that follows them.
func (s *splitter) next(n int) []byte {
	end := -1
	for range n {
		k := bytes.IndexByte(s.raw[end+1:], ',')
		if k < 0 {
			k = len(s.raw) - 1 - (end + 1) // the last number ends before ']'
		}
		end += 1 + k
	}
	own := s.raw[:end]
	s.raw = s.raw[end+1:]
	return own
}

// Merge implements compute.Planner.
func (v Vector) Merge(data json.RawMessage, partials []json.RawMessage) (json.RawMessage, error) {
	p, err := v.decode(data)
	if err != nil {
		return nil, err
	}
	n := len(partials)
	if err := compute.CheckPartials(n, p.maxShards()); err != nil {
		return nil, err
	}
	switch {
	case n == 1:
		if err := p.validate(partials[0], "shard[0]"); err != nil {
			return nil, err
		}
		return partials[0], nil
	case p.cut == len(p.steps):
		return p.join(partials)
	}
	s, err := p.combine(partials)
	if err != nil {
		return nil, err
	}
	if p.partial {
		return s.encode(), nil
	}
	return p.complete(s)
}

// join puts the arrays of elementwise shards together.
func (p *program) join(partials []json.RawMessage) (json.RawMessage, error) {
	size := 2
	for i, raw := range partials {
		part := p.out
		part.lo = p.bound(i+1, len(partials)) - p.bound(i, len(partials))
		part.hi = part.lo
		if err := p.validateValue(raw, part, shardName(i)); err != nil {
			return nil, err
		}
		size += len(raw) - 1
	}
	if size-1 > core.MaxTaskBytes {
		return nil, failure(core.ReasonExecutionFailed, "the result has %d bytes; at most %d can be delivered", size-1, core.MaxTaskBytes)
	}
	out := append(make([]byte, 0, size), '[')
	for _, raw := range partials {
		out = append(append(out, raw[1:len(raw)-1]...), ',')
	}
	out[len(out)-1] = ']'
	return out, nil
}

func shardName(i int) string { return fmt.Sprintf("shard[%d]", i) }

// combine merges the summaries of reduce shards.
func (p *program) combine(partials []json.RawMessage) (*summary, error) {
	st := &p.steps[p.cut]
	total := newSummary(st.op.needs, st.in.float)
	for i, raw := range partials {
		count := p.bound(i+1, len(partials)) - p.bound(i, len(partials))
		s, err := st.decodeSummary(raw, count, shardName(i))
		if err != nil {
			return nil, err
		}
		total.merge(s)
	}
	return total, nil
}

// complete finishes the reduce and runs what follows, on one number.
func (p *program) complete(s *summary) (json.RawMessage, error) {
	v, err := p.steps[p.cut].finish(s)
	if err != nil {
		return nil, err
	}
	rest := p.steps[p.cut+1:]
	r := runner{ctx: context.Background(), progress: func(float64) {}, stages: stagesOf(rest)}
	if v, err = r.run(v, rest); err != nil {
		return nil, err
	}
	return v.encode()
}

// Validate implements compute.Planner.
func (v Vector) Validate(data, result json.RawMessage) error {
	p, err := v.decode(data)
	if err != nil {
		return err
	}
	return p.validate(result, "result")
}

func (p *program) validate(result json.RawMessage, name string) error {
	if p.partial {
		_, err := p.steps[p.cut].decodeSummary(result, p.input.len(), name)
		return err
	}
	return p.validateValue(result, p.out, name)
}
