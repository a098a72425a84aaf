package workflow

import (
	"context"
	"fmt"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/template"
)

// prepare reads the results that step i refers to.
func (r *Runner) prepare(ctx context.Context, i int) (*work, *core.Failure) {
	s := &r.plan.steps[i]
	w := &work{list: s.list, one: !s.mapped}
	if s.over.From != "" {
		var f *core.Failure
		if w.list, f = r.mapped(ctx, s); f != nil {
			return nil, f
		}
	}
	in := inputs{value: func(from string) ([]byte, *core.Failure) { return r.value(ctx, r.plan.find(s, StepID(from))) }}
	var err error
	w.data, err = s.data.Fill(in.part)
	switch {
	case in.failed != nil:
		return nil, in.failed
	case err != nil:
		return nil, invalid("%v", err)
	}
	return w, nil
}

// inputs gives the data of a step the parts of results that it refers to.
type inputs struct {
	value   func(step string) ([]byte, *core.Failure)
	from    string // whose result is here; one at a time, because they may be large
	result  []byte
	scanned int64         // bytes read and looked through; at most template.MaxScan
	failed  *core.Failure // why a result could not be read
}

// part returns what one reference stands for.
func (in *inputs) part(ref template.Reference) (part []byte, known bool, err error) {
	if ref.Local() {
		return nil, false, nil
	}
	if in.from != ref.From {
		in.from, in.result = ref.From, nil
		if in.result, in.failed = in.value(ref.From); in.failed != nil {
			return nil, false, in.failed
		}
		in.scanned += int64(len(in.result))
	}
	if ref.Path != "" {
		in.scanned += int64(len(in.result))
	}
	if in.scanned > template.MaxScan {
		return nil, false, core.Errorf(core.Exhausted, "data", "its references would look through more than %d bytes of results; "+
			"have a step give what is needed as a result of its own", int64(template.MaxScan))
	}
	if part, err = template.Resolve(in.result, ref.Path); err != nil {
		err = fmt.Errorf("the result of step %q: %w", ref.From, err)
	}
	return part, true, err
}

// find returns the index of a step that s waits for.
func (p *Plan) find(s *planned, id StepID) int {
	for _, j := range s.after {
		if p.steps[j].id == id {
			return j
		}
	}
	return -1 // every reference was made a dependency
}

// mapped returns the list that a step maps over.
func (r *Runner) mapped(ctx context.Context, s *planned) ([][]byte, *core.Failure) {
	value, f := r.value(ctx, r.plan.find(s, s.over.From))
	if f != nil {
		return nil, f
	}
	part, err := template.Resolve(value, s.over.Path)
	if err != nil {
		return nil, invalid("the result of step %q: %v", s.over.From, err)
	}
	list, n, ok := template.Elements(part, MaxElements)
	switch {
	case !ok:
		return nil, invalid("what it maps over, the result of step %q, is not an array: %.40s", s.over.From, part)
	case n > MaxElements:
		return nil, invalid("the list from step %q has %d elements; a map takes at most %d", s.over.From, n, MaxElements)
	}
	return list, nil
}
