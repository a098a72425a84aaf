package vector

import (
	"context"

	"github.com/tenzro/tenzro/core"
)

// runner executes a program once.
type runner struct {
	ctx      context.Context
	progress func(float64)
	stage    int // finished stages
	stages   int
	base     int // index of the first element in the whole array, for messages
}

// fault is the element that an elementwise step could not compute.
type fault struct {
	step  int
	index int
	inf   bool // overflow; otherwise outside the function's domain
}

// apply runs elementwise steps over a chunk, in place; the step that leaves the
// integers moves it to dst.
func apply(steps []step, v values, dst []float64) (values, *fault) {
	for k := range steps {
		st := &steps[k]
		if st.out.float && !v.float {
			convert(dst, v.ints)
			v = values{floats: dst[:len(v.ints)], float: true}
		}
		if v.float {
			for i, x := range v.floats {
				y := st.op.floats(&st.args, x)
				if y-y != 0 {
					return v, &fault{k, i, y == y}
				}
				v.floats[i] = y
			}
			continue
		}
		for i, x := range v.ints {
			y, ok := st.op.ints(&st.args, x)
			if !ok {
				return v, &fault{k, i, true}
			}
			v.ints[i] = y
		}
	}
	return v, nil
}

// failure names the operation and the element.
func (f *fault) failure(steps []step, base int) error {
	st := &steps[f.step]
	switch {
	case !f.inf:
		return elementFailure(core.ReasonInvalidInput, st.op.name, base+f.index, "is outside the domain of the operation")
	case st.out.float:
		return elementFailure(core.ReasonOverflow, st.op.name, base+f.index, "gives a result beyond the range of float64")
	}
	return elementFailure(core.ReasonOverflow, st.op.name, base+f.index, "gives a result beyond the range of int64")
}

// chunks calls work for each chunk of n elements, watching the context.
func (r *runner) chunks(n int, work func(lo, hi int) error) error {
	for lo := 0; lo < n || lo == 0; lo += blockSize {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		hi := min(n, lo+blockSize)
		if err := work(lo, hi); err != nil {
			return err
		}
		r.progress((float64(r.stage) + float64(hi)/float64(max(n, 1))) / float64(r.stages))
	}
	r.stage++
	return nil
}

// mapAll runs elementwise steps over the whole of v.
func (r *runner) mapAll(v values, steps []step) (values, error) {
	out := values{ints: v.ints, floats: v.floats, float: steps[len(steps)-1].out.float, scalar: v.scalar}
	if out.float && !v.float {
		out.ints, out.floats = nil, make([]float64, v.len())
	}
	err := r.chunks(v.len(), func(lo, hi int) error {
		var dst []float64
		if out.float {
			dst = out.floats[lo:hi]
		}
		if _, bad := apply(steps, v.slice(lo, hi), dst); bad != nil {
			return bad.failure(steps, r.base+lo)
		}
		return nil
	})
	return out, err
}

// fold runs elementwise steps and collects what the reduce at the end needs.
func (r *runner) fold(v values, steps []step, last *step) (*summary, error) {
	f := newFolder(last.op.needs, last.in.float)
	var dst []float64
	if last.in.float && !v.float {
		dst = make([]float64, min(v.len(), blockSize))
	}
	err := r.chunks(v.len(), func(lo, hi int) error {
		chunk, bad := apply(steps, v.slice(lo, hi), dst)
		if bad != nil {
			return bad.failure(steps, r.base+lo)
		}
		f.add(chunk)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f.summary(), nil
}

// whole runs one global operation.
func (r *runner) whole(v values, st *step) (values, error) {
	if v.len() < st.op.required(&st.args) {
		return v, failure(core.ReasonInvalidInput, "%s: %d elements are left, it needs at least %d", st.op.name, v.len(), st.op.required(&st.args))
	}
	if err := r.ctx.Err(); err != nil {
		return v, err
	}
	v, err := st.op.whole(v, &st.args)
	if err != nil {
		return v, err
	}
	r.stage++
	r.progress(float64(r.stage) / float64(r.stages))
	return v, r.ctx.Err()
}

// finish turns a reduce's summary into its number.
func (st *step) finish(s *summary) (values, error) {
	if s.count < st.op.required(&st.args) {
		return values{}, failure(core.ReasonInvalidInput, "%s: %d elements are left, it needs at least %d", st.op.name, s.count, st.op.required(&st.args))
	}
	n, err := st.op.finish(s, &st.args)
	if err != nil {
		return values{}, err
	}
	return scalar(n), nil
}

// run executes steps over v, whose memory it uses.
func (r *runner) run(v values, steps []step) (values, error) {
	for len(steps) > 0 {
		k := prefixLen(steps)
		var err error
		switch {
		case k < len(steps) && steps[k].op.class == reduce:
			var s *summary
			if s, err = r.fold(v, steps[:k], &steps[k]); err == nil {
				v, err = steps[k].finish(s)
			}
			k++
		case k > 0:
			v, err = r.mapAll(v, steps[:k])
		default:
			v, err = r.whole(v, &steps[0])
			k = 1
		}
		if err != nil {
			return v, err
		}
		r.base, steps = 0, steps[k:]
	}
	return v, nil
}

// prefixLen returns how many elementwise steps come first.
func prefixLen(steps []step) int {
	for i := range steps {
		if steps[i].op.class != elementwise {
			return i
		}
	}
	return len(steps)
}

// stagesOf counts the passes over the array that run makes.
func stagesOf(steps []step) int {
	n := 0
	for len(steps) > 0 {
		k := prefixLen(steps)
		if k == 0 || k < len(steps) && steps[k].op.class == reduce {
			k++
		}
		n, steps = n+1, steps[k:]
	}
	return n
}
