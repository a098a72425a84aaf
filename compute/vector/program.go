package vector

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// Bounds of a task.
const (
	MaxElements   = 2_000_000
	MaxOperations = 64
	// MaxUnits caps the estimated work of one task: about 20 s of one core.
	MaxUnits = 2e10
	// parseUnits is the estimated cost of reading and writing one element.
	parseUnits = 40
)

// program is decoded task data.
type program struct {
	input    values
	inputRaw []byte // the array's own bytes
	steps    []step
	cut      int   // index of the first step that is not elementwise
	out      shape // of the result; of the reduce's result when partial
	flags
}

// flags is what Split adds to the data of a shard. They are part of the data
// format, so a shard can be split again.
type flags struct {
	partial bool // the result is the last reduce's mergeable summary
	asFloat bool // compute in float64 although this part has only integers
	offset  int  // index of the first element in the whole array, for messages
}

// step is one operation with its parameters.
type step struct {
	op   *operation
	args args
	raw  []byte // its own bytes
	in   shape
	out  shape
}

func failure(r core.Reason, format string, a ...any) error {
	return &core.Failure{Reason: r, Message: fmt.Sprintf(format, a...)}
}

// elementFailure names the operation and the element that it failed on.
func elementFailure(r core.Reason, op string, index int, text string) error {
	return failure(r, "%s: element %d %s", op, index, text)
}

// check follows the shape of the value through the steps.
func (p *program) check() error {
	now := inputShape(p.input)
	p.cut = len(p.steps)
	for i := range p.steps {
		st := &p.steps[i]
		if err := p.accepts(i, now); err != nil {
			return err
		}
		if st.op.class != elementwise {
			p.cut = min(p.cut, i)
		}
		st.in = now
		now = st.op.after(now, &st.args)
		st.out = now
	}
	if p.partial && (p.cut != len(p.steps)-1 || p.steps[p.cut].op.class != reduce) {
		return compute.Invalid("data.partial", "needs a reduce as the last operation and only elementwise operations before it")
	}
	p.out = now
	return nil
}

// accepts reports why step i cannot follow a value of shape in. A part of an
// array may have fewer elements than its reduce needs of the whole.
func (p *program) accepts(i int, in shape) error {
	st := &p.steps[i]
	need := st.op.required(&st.args)
	switch {
	case in.bins > 0:
		return compute.Invalid(opPath(i, ""), "cannot follow histogram, which must be the last operation")
	case in.scalar && st.op.class != elementwise:
		return compute.Invalid(opPath(i, ""), "(%s) needs an array, and the operations before it leave one number", st.op.name)
	case p.partial || in.hi >= need:
		return nil
	case p.input.len() < need:
		return compute.Invalid("data.input", "has %d elements; %s needs at least %d", p.input.len(), st.op.name, need)
	}
	return compute.Invalid(opPath(i, ""), "(%s) needs at least %d elements, and at most %d are left", st.op.name, need, in.hi)
}

// units estimates the work.
func (p *program) units() float64 {
	total := float64(p.input.len()) * parseUnits
	for i := range p.steps {
		st := &p.steps[i]
		n := float64(st.in.hi)
		if st.op.sorts {
			n *= float64(bits.Len(uint(st.in.hi)))
		}
		total += float64(st.op.units * n)
	}
	return math.Ceil(total)
}
