package vector

import (
	"context"
	"encoding/json"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// Type is the task type this engine runs.
const Type core.TaskType = "compute"

// Vector is the engine and its planner. It has no state but the registry, which
// never changes, and is safe for concurrent use. New makes one; the zero value
// works too, but builds the registry at every call.
type Vector struct {
	registry registry
}

func (v Vector) decode(data []byte) (*program, error) {
	if v.registry == nil {
		v = New()
	}
	return v.registry.decode(data)
}

var (
	_ compute.Executor = Vector{}
	_ compute.Planner  = Vector{}
)

// New returns the engine with all its operations.
func New() Vector { return Vector{registry: newRegistry()} }

// Operations returns the names of all operations, sorted.
func (v Vector) Operations() []string { return newRegistry().names() }

// Run implements compute.Executor. Data that Check refuses is an error of kind
// core.Invalid. The result is the value as JSON, or the summary of the reduce
// when data asks for a partial result.
func (v Vector) Run(ctx context.Context, data json.RawMessage, report compute.Report) (compute.Output, error) {
	p, err := v.decode(data)
	if err != nil {
		return compute.Output{}, err
	}
	if p.units() > MaxUnits {
		return compute.Output{}, p.tooMuch()
	}
	r := runner{ctx: ctx, progress: report.Progress, stages: stagesOf(p.steps), base: p.offset}
	result, err := p.result(&r)
	if err != nil {
		return compute.Output{}, err
	}
	return compute.Output{Result: result, Metric: 1}, nil
}

func (p *program) result(r *runner) (json.RawMessage, error) {
	if p.partial {
		s, err := r.fold(p.input, p.steps[:p.cut], &p.steps[p.cut])
		if err != nil {
			return nil, err
		}
		return s.encode(), nil
	}
	v, err := r.run(p.input, p.steps)
	if err != nil {
		return nil, err
	}
	return v.encode()
}

func (p *program) tooMuch() error {
	return core.Errorf(core.Invalid, "data.operations", "data.operations on %d elements cost about %.0f units; at most %.0f are allowed",
		p.input.len(), p.units(), float64(MaxUnits)).WithHint("split the input over several tasks")
}

// Check implements compute.Planner. Beside the form it refuses an overflow that
// is already certain: integer pipelines of at most probeElements elements are
// run up to their first reduce, of others the smallest and the largest element
// are put through the elementwise operations at the beginning.
func (v Vector) Check(data json.RawMessage) (compute.Cost, error) {
	p, err := v.decode(data)
	if err != nil {
		return compute.Cost{}, err
	}
	if p.units() > MaxUnits {
		return compute.Cost{}, p.tooMuch()
	}
	if err := p.probe(); err != nil {
		return compute.Cost{}, err
	}
	return compute.Cost{Elements: p.input.len(), Units: p.units(), MaxShards: p.maxShards()}, nil
}

const (
	// probeElements is how many integers Check computes with at most, and probeUnits
	// how much work that may be: some 50 us, as gateway and region both pay for it.
	probeElements = 1024
	probeUnits    = 1 << 15
)

// probe runs the prefix on a few elements. It may use up p.input.
func (p *program) probe() error {
	n := p.input.len()
	if n == 0 {
		return nil
	}
	steps := p.steps[:p.cut]
	v, index := p.input, func(i int) int { return i }
	all := !v.float && n <= probeElements && p.units() <= probeUnits
	if !all {
		lo, hi := extremes(v)
		v, index = pick(v, lo, hi), func(i int) int { return [...]int{lo, hi}[i] }
	}
	v, bad := apply(steps, v, make([]float64, v.len()))
	if bad != nil && bad.inf {
		return compute.Invalid(opInput(p.offset+index(bad.index)), "overflows: %s gives a result beyond the range of its type", steps[bad.step].op.name)
	}
	if bad != nil || !all || v.float || p.partial || p.cut == len(p.steps) || p.steps[p.cut].op.class != reduce {
		return nil
	}
	f := newFolder(p.steps[p.cut].op.needs, false)
	f.add(v)
	if _, err := p.steps[p.cut].finish(f.summary()); err != nil {
		return compute.Invalid("data.input", "overflows: the result of %s is beyond the range of int64", p.steps[p.cut].op.name)
	}
	return nil
}
