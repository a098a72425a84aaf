package vsa

import (
	"context"
	"encoding/json"

	"github.com/tenzro/tenzro/compute/vsa/hyper"
)

// watchEvery is after how many vectors of a codebook a run looks at its context.
const watchEvery = 64

// value is what is in a slot, once it has been computed.
type value struct {
	vector  *hyper.Vector
	dot     int
	matches []hyper.Match
}

// runner executes a program once.
type runner struct {
	ctx      context.Context
	progress func(float64)
	p        *program
	values   []value
	done     float64 // units
}

func (p *program) run(ctx context.Context, progress func(float64)) (json.RawMessage, error) {
	r := &runner{ctx: ctx, progress: progress, p: p, values: make([]value, len(p.slots))}
	for i := range p.steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := r.step(&p.steps[i], &r.values[len(p.given)+i]); err != nil {
			return nil, err
		}
		r.done += p.steps[i].units
		progress(r.done / p.units)
	}
	for _, slot := range p.results {
		if p.gives(slot) != aVector {
			continue
		}
		if _, err := r.vector(slot); err != nil {
			return nil, err
		}
	}
	progress(1)
	return p.encode(r.values)
}

// vector returns the vector in a slot; a random one is made when it is needed.
func (r *runner) vector(slot int) (*hyper.Vector, error) {
	if v := r.values[slot].vector; v != nil {
		return v, nil
	}
	v, err := r.p.space.vector(r.p.given[slot], new(hyper.Vector))
	r.values[slot].vector = v
	return v, err
}

func (r *runner) operands(st *step) ([]*hyper.Vector, error) {
	vs := make([]*hyper.Vector, len(st.of))
	var err error
	for i, slot := range st.of {
		if vs[i], err = r.vector(slot); err != nil {
			return nil, err
		}
	}
	return vs, nil
}

// step runs one operation and leaves what it gives in out.
func (r *runner) step(st *step, out *value) error {
	of, err := r.operands(st)
	if err != nil {
		return err
	}
	switch st.op.gives {
	case aNumber:
		out.dot, err = hyper.Dot(of[0], of[1])
		return err
	case someMatches:
		out.matches, err = r.search(of[0], st.book, st.top, st.units)
		return err
	}
	out.vector, err = r.combine(st, of)
	return err
}

// combine runs an operation that leaves a vector.
func (r *runner) combine(st *step, of []*hyper.Vector) (*hyper.Vector, error) {
	v := new(hyper.Vector)
	var err error
	switch st.op.name {
	case "bind":
		err = v.Bind(of[0], of[1])
		for i := 2; i < len(of) && err == nil; i++ {
			err = v.Bind(v, of[i])
		}
	case "unbind":
		err = v.Unbind(of[0], of[1])
	case "bundle":
		err = v.Bundle(of)
	case "permute":
		v.Permute(of[0], st.by)
	case "negate":
		v.Negate(of[0])
	case "cleanup":
		return r.cleanup(of[0], st)
	}
	return v, err
}

// search compares a vector with every one of a codebook.
func (r *runner) search(query *hyper.Vector, book *codebook, most int, units float64) ([]hyper.Match, error) {
	top, dst, n := hyper.NewTop(most), new(hyper.Vector), book.len()
	for i := range n {
		if i%watchEvery == 0 {
			if err := r.ctx.Err(); err != nil {
				return nil, err
			}
			r.progress((r.done + units*float64(i)/float64(n)) / r.p.units)
		}
		v, err := book.vector(r, i, dst)
		if err != nil {
			return nil, err
		}
		dot, err := hyper.Dot(query, v)
		if err != nil {
			return nil, err
		}
		top.Add(hyper.Match{Index: i, Dot: dot})
	}
	return top.Best(), nil
}

// cleanup leaves the vector of a codebook that is most similar.
func (r *runner) cleanup(query *hyper.Vector, st *step) (*hyper.Vector, error) {
	best, err := r.search(query, st.book, 1, st.units)
	if err != nil {
		return nil, err
	}
	return st.book.vector(r, best[0].Index, new(hyper.Vector))
}
