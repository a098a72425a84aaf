package workflow

import (
	"context"
	"encoding/json"

	"github.com/tenzro/tenzro/core"
)

// value returns the result of step i, which has ended well, from where its jobs
// are remembered.
func (r *Runner) value(ctx context.Context, i int) (json.RawMessage, *core.Failure) {
	r.mu.Lock()
	tries := r.states[i].tries
	r.mu.Unlock()
	var w *work // made only if a job was forgotten
	get := func(index int) (json.RawMessage, *core.Failure) {
		id := JobID(r.home, r.id, r.plan.steps[i].id, index, int(tries[index]))
		if text, known := r.steps.Result(id); known {
			return text, nil
		}
		if w == nil {
			var f *core.Failure
			if w, f = r.prepare(ctx, i); f != nil {
				return nil, f
			}
		}
		return r.again(ctx, i, index, w)
	}
	if !r.plan.steps[i].mapped {
		return get(0)
	}
	out := []byte{'['}
	for index := range tries {
		text, f := get(index)
		if f != nil {
			return nil, f
		}
		if index > 0 {
			out = append(out, ',')
		}
		if out = append(out, text...); len(out) >= core.MaxTaskBytes {
			return nil, invalid("the results of step %q have more than %d bytes together", r.plan.steps[i].id, core.MaxTaskBytes)
		}
	}
	return append(out, ']'), nil
}

// again computes a result that is not remembered any more. What was said about
// the step stays said.
func (r *Runner) again(ctx context.Context, i, index int, w *work) (json.RawMessage, *core.Failure) {
	spec, f := r.spec(ctx, i, index, w)
	if f != nil {
		return nil, f
	}
	for try := 0; try <= r.plan.steps[i].retries; try++ {
		result := r.steps.Run(ctx, JobID(r.home, r.id, r.plan.steps[i].id, index, try), spec, func(float64) {})
		if f = failed(result); f == nil {
			return result.Result, nil
		}
		if !mends(f.Reason) || ctx.Err() != nil {
			break
		}
	}
	return nil, f
}
