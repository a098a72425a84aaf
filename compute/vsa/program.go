package vsa

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vsa/hyper"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// MaxSteps is how many steps a program has at most.
const MaxSteps = 4096

// programData is the data of a task of type vsa.
type programData struct {
	Kind      string     `json:"kind"`
	Dimension int        `json:"dimension"`
	Vectors   []item     `json:"vectors,omitempty"`
	Steps     []stepData `json:"steps"`
	Result    []string   `json:"result,omitempty"`
	Encoding  encoding   `json:"encoding,omitempty"`
}

// stepData is one operation: its operands by name, and the name of what it leaves.
type stepData struct {
	Op       string        `json:"op"`
	Of       []string      `json:"of"`
	As       string        `json:"as"`
	By       *int          `json:"by,omitempty"`
	Codebook *codebookData `json:"codebook,omitempty"`
	Top      *int          `json:"top,omitempty"`
}

// program is task data that was checked. Its values live in numbered slots: the
// given vectors first, then what each step leaves.
type program struct {
	space
	data    programData
	given   []origin
	steps   []step
	slots   map[string]int
	results []int // slots
	units   float64
	cut     int // the step at which the work can be shared out, -1 for none
}

// step is one operation over slots.
type step struct {
	op    operation
	of    []int
	by    int
	book  *codebook
	top   int
	units float64
}

func indexed(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// decode reads and checks a program completely.
func decode(data json.RawMessage) (*program, error) {
	p := &program{slots: map[string]int{}}
	if err := wire.DecodeStrictClosed(data, &p.data); err != nil {
		return nil, compute.Below(err)
	}
	var err error
	if p.space, err = newSpace(p.data.Kind, p.data.Dimension); err != nil {
		return nil, err
	}
	for _, check := range []func() error{p.data.Encoding.check, p.vectors, p.compile, p.wanted, p.bounds, p.findCut} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *program) vectors() error {
	if len(p.data.Vectors) > MaxVectors {
		return compute.Invalid("data.vectors", "has %d vectors; at most %d", len(p.data.Vectors), MaxVectors)
	}
	p.given = make([]origin, len(p.data.Vectors))
	for i, it := range p.data.Vectors {
		path := indexed("data.vectors", i)
		if err := p.define(path+".name", it.Name); err != nil {
			return err
		}
		var err error
		if p.given[i], err = p.origin(path, it); err != nil {
			return err
		}
		p.units += p.given[i].units(p.space)
	}
	return nil
}

// define gives the next slot a name.
func (p *program) define(path, name string) error {
	if !validName(name) {
		return compute.Invalid(path, "%.40q must be 1 to %d characters of A-Z, a-z, 0-9, '_' and '-'", name, maxName)
	}
	if _, taken := p.slots[name]; taken {
		return compute.Invalid(path, "%s is the name of something else", name).WithHint("every vector and step needs a name of its own")
	}
	p.slots[name] = len(p.slots)
	return nil
}

// gives returns what is in a slot.
func (p *program) gives(slot int) result {
	if slot < len(p.given) {
		return aVector
	}
	return p.steps[slot-len(p.given)].op.gives
}

// operand finds a vector by its name.
func (p *program) operand(path, name string) (int, error) {
	slot, known := p.slots[name]
	if !known {
		return 0, compute.Invalid(path, "%.40q names no vector before this step", name)
	}
	if p.gives(slot) != aVector {
		return 0, compute.Invalid(path, "%s is no vector", name).WithHint("use cleanup instead of search where the best vector is needed")
	}
	return slot, nil
}

func (p *program) compile() error {
	if n := len(p.data.Steps); n < 1 || n > MaxSteps {
		return compute.Invalid("data.steps", "has %d steps; it must have 1 to %d", n, MaxSteps)
	}
	p.steps = make([]step, 0, len(p.data.Steps))
	for i, d := range p.data.Steps {
		path := indexed("data.steps", i)
		st, err := p.step(path, d)
		if err != nil {
			return err
		}
		if err := p.define(path+".as", d.As); err != nil {
			return err
		}
		p.steps = append(p.steps, st)
		p.units += st.units
	}
	return nil
}

// step checks one step.
func (p *program) step(path string, d stepData) (st step, err error) {
	var known bool
	if st.op, known = operationOf(d.Op); !known {
		return st, compute.Invalid(path+".op", "%.32q is unknown", d.Op).WithHint(fmt.Sprintf("the operations are %v", Operations()))
	}
	if n := len(d.Of); n < st.op.least || n > st.op.most {
		return st, compute.Invalid(path+".of", "names %d vectors; %s takes %d to %d", n, st.op.name, st.op.least, st.op.most)
	}
	st.of = make([]int, len(d.Of))
	for i, name := range d.Of {
		if st.of[i], err = p.operand(indexed(path+".of", i), name); err != nil {
			return st, err
		}
	}
	st.units = 100 + float64(st.op.units*float64(len(d.Of))*p.words())
	return st, p.parameters(path, d, &st)
}

// parameters checks what a step takes besides its operands.
func (p *program) parameters(path string, d stepData, st *step) (err error) {
	switch {
	case d.By != nil && !st.op.by:
		return compute.Invalid(path+".by", "means nothing to %s", st.op.name)
	case d.Codebook != nil && !st.op.codebook:
		return compute.Invalid(path+".codebook", "means nothing to %s", st.op.name)
	case d.Top != nil && !st.op.top:
		return compute.Invalid(path+".top", "means nothing to %s", st.op.name)
	case st.op.by && d.By == nil:
		return compute.Invalid(path+".by", "is missing: by how many places to permute")
	}
	if d.By != nil {
		if st.by = *d.By; st.by < -hyper.MaxDimension || st.by > hyper.MaxDimension {
			return compute.Invalid(path+".by", "is %d; it must be %d to %d", st.by, -hyper.MaxDimension, hyper.MaxDimension)
		}
	}
	if st.top = 1; d.Top != nil {
		if st.top = *d.Top; st.top < 1 || st.top > MaxTop {
			return compute.Invalid(path+".top", "is %d; it must be 1 to %d", st.top, MaxTop)
		}
	}
	if st.op.codebook {
		if st.book, err = p.codebook(path+".codebook", d.Codebook); err != nil {
			return err
		}
		st.units += st.book.units(p.space)
	}
	return nil
}

// wanted finds what the result is made of: what was named, else what the last
// step leaves.
func (p *program) wanted() error {
	if len(p.data.Result) == 0 {
		p.data.Result = []string{p.data.Steps[len(p.data.Steps)-1].As}
	}
	seen := map[string]bool{}
	for i, name := range p.data.Result {
		slot, known := p.slots[name]
		switch {
		case !known:
			return compute.Invalid(indexed("data.result", i), "%.40q names nothing", name)
		case seen[name]:
			return compute.Invalid(indexed("data.result", i), "names %s again", name)
		}
		seen[name] = true
		p.results = append(p.results, slot)
	}
	return nil
}

// bounds refuses what would be too much to hold, to deliver or to compute.
func (p *program) bounds() error {
	held, delivered := len(p.given), 0
	for _, st := range p.steps {
		if st.op.gives == aVector {
			held++
		}
	}
	for _, slot := range p.results {
		switch p.gives(slot) {
		case aVector:
			delivered += 2*p.bytes() + 200
		case someMatches:
			st := &p.steps[slot-len(p.given)]
			delivered += min(st.top, st.book.len()) * 100
		}
	}
	p.units = math.Ceil(p.units + float64(delivered))
	switch {
	case held*p.bytes() > MaxMemory:
		return compute.Invalid("data", "needs %d vectors of %d bytes; at most %d MiB are allowed", held, p.bytes(), MaxMemory>>20).
			WithHint("use fewer vectors or a smaller dimension; codebooks of a seed need no room")
	case delivered > core.MaxTaskBytes:
		return compute.Invalid("data.result", "would have about %d bytes; at most %d can be delivered", delivered, core.MaxTaskBytes)
	case p.units > MaxUnits:
		return tooMuch(p.units)
	}
	return nil
}

func tooMuch(units float64) error {
	return compute.Invalid("data", "costs about %.0f units; at most %.0f are allowed", units, float64(MaxUnits)).WithHint("split the work over several tasks")
}
