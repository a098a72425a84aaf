package vector

import (
	"fmt"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// decode reads and checks data completely.
func (r registry) decode(data []byte) (*program, error) {
	d := decoder{registry: r, s: scanner{b: data}, p: new(program)}
	text, err := d.s.object(d.field)
	if err != nil {
		return nil, err
	}
	if text != "" {
		return nil, compute.Invalid("data", "%s", text)
	}
	if d.s.peek() != 0 || d.s.i != len(data) {
		return nil, compute.Invalid("data", "is followed by other text")
	}
	if err := d.input(); err != nil {
		return nil, err
	}
	if d.p.steps == nil {
		return nil, compute.Invalid("data.operations", "is missing")
	}
	return d.p, d.p.check()
}

// decoder fills a program in the order the fields come.
type decoder struct {
	registry registry
	s        scanner
	p        *program
	seen     [5]bool
	tooBig   *problem // an integer outside int64, forgiven when float is set
}

func (d *decoder) field(key string) error {
	for i, name := range [...]string{"input", "operations", "partial", "float", "offset"} {
		if key != name {
			continue
		}
		if d.seen[i] {
			return compute.Invalid("data."+key, "is given twice")
		}
		d.seen[i] = true
		switch key {
		case "input":
			return d.numbers()
		case "operations":
			return d.operations()
		case "offset":
			return d.offset()
		}
		return d.flag(key)
	}
	return core.Errorf(core.Invalid, "data", "data has no field %.40q", key).WithHint("data has input and operations")
}

func (d *decoder) numbers() error {
	d.s.peek()
	start := d.s.i
	v, p := d.s.numbers(MaxElements, false)
	switch {
	case p != nil && p.tooBig:
		d.tooBig = p
	case p != nil:
		return p.at("data.input")
	}
	d.p.input, d.p.inputRaw = v, d.s.b[start:d.s.i]
	return nil
}

// at makes the error of a problem in the array at path.
func (p *problem) at(path string) error {
	if p.index >= 0 {
		path = fmt.Sprintf("%s[%d]", path, p.index)
	}
	return compute.Invalid(path, "%s", p.text)
}

func (d *decoder) flag(key string) error {
	value, ok := d.s.boolean()
	if !ok {
		return compute.Invalid("data."+key, "must be true or false")
	}
	if key == "partial" {
		d.p.partial = value
	} else {
		d.p.asFloat = value
	}
	return nil
}

func (d *decoder) offset() error {
	n, text := d.s.number()
	if text != "" {
		return compute.Invalid("data.offset", "%s", text)
	}
	if n.float || n.i < 0 || n.i > MaxElements {
		return compute.Invalid("data.offset", "must be an integer from 0 to %d", MaxElements)
	}
	d.p.offset = int(n.i)
	return nil
}

// input applies the float flag, which may come after the numbers.
func (d *decoder) input() error {
	switch {
	case !d.seen[0]:
		return compute.Invalid("data.input", "is missing")
	case d.p.asFloat && !d.p.input.float:
		d.p.input = d.p.input.toFloat()
	case d.tooBig != nil && !d.p.asFloat:
		return d.tooBig.at("data.input")
	}
	return nil
}

func (d *decoder) operations() error {
	if !d.s.take('[') {
		return compute.Invalid("data.operations", "is not an array of operations")
	}
	d.p.steps = make([]step, 0, 2)
	if d.s.take(']') {
		return compute.Invalid("data.operations", "is empty; name at least one operation")
	}
	for {
		if len(d.p.steps) == MaxOperations {
			return compute.Invalid("data.operations", "has more than %d operations", MaxOperations)
		}
		if err := d.operation(len(d.p.steps)); err != nil {
			return err
		}
		if d.s.take(']') {
			return nil
		}
		if !d.s.take(',') {
			return compute.Invalid("data.operations", "is not well-formed after operation %d", len(d.p.steps)-1)
		}
	}
}

func opPath(i int, field string) string {
	if field == "" {
		return fmt.Sprintf("data.operations[%d]", i)
	}
	return fmt.Sprintf("data.operations[%d].%s", i, field)
}

// operation reads "name" or {"op":"name",...}.
func (d *decoder) operation(i int) error {
	d.p.steps = append(d.p.steps, step{})
	st := &d.p.steps[i]
	switch d.s.peek() {
	case '"':
		start := d.s.i
		if st.op = d.s.operation(d.registry); st.op == nil {
			name, ok := d.s.str(maxName) // with escapes, or wrong
			if st.op = d.registry[name]; !ok || st.op == nil {
				return d.unknown(opPath(i, ""), name)
			}
		}
		st.raw = d.s.b[start:d.s.i]
		return d.defaults(i, st, [maxParams]bool{})
	case '{':
		return d.object(i, st)
	}
	return compute.Invalid(opPath(i, ""), "must be an operation's name or an object with op")
}

func (d *decoder) unknown(path, name string) error {
	return core.Errorf(core.Invalid, path, "%s: operation %.40q is unknown", path, name).
		WithHint(fmt.Sprintf("the operations are %v", d.registry.names()))
}

// object reads the fields twice, because op may come after the parameters.
func (d *decoder) object(i int, st *step) error {
	start := d.s.i
	name, err := d.opName(i)
	if err != nil {
		return err
	}
	if st.op = d.registry[name]; st.op == nil {
		return d.unknown(opPath(i, "op"), name)
	}
	st.raw = d.s.b[start:d.s.i]
	d.s.i = start
	var given [maxParams]bool
	_, err = d.s.object(func(key string) error {
		if key == "op" {
			d.s.str(maxName)
			return nil
		}
		return d.param(i, st, key, &given)
	})
	if err != nil {
		return err
	}
	return d.defaults(i, st, given)
}

// opName finds op and checks the form of the object.
func (d *decoder) opName(i int) (string, error) {
	name, found := "", false
	text, err := d.s.object(func(key string) error {
		if key == "op" && found {
			return compute.Invalid(opPath(i, "op"), "is given twice")
		}
		if d.s.peek() == '"' {
			value, ok := d.s.str(maxName)
			if !ok {
				return compute.Invalid(opPath(i, ""), "has a string that is too long or not well-formed")
			}
			if key == "op" {
				name, found = value, true
			}
			return nil
		}
		if key == "op" {
			return compute.Invalid(opPath(i, "op"), "must be an operation's name")
		}
		if _, text := d.s.number(); text != "" {
			return compute.Invalid(opPath(i, ""), "has a parameter %.40q that %s", key, text)
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case text != "":
		return "", compute.Invalid(opPath(i, ""), "%s", text)
	case !found:
		return "", compute.Invalid(opPath(i, "op"), "is missing")
	}
	return name, nil
}

func (d *decoder) param(i int, st *step, key string, given *[maxParams]bool) error {
	for k, p := range st.op.params {
		if p.name != key {
			continue
		}
		if given[k] {
			return compute.Invalid(opPath(i, key), "is given twice")
		}
		given[k] = true
		if text := st.args.set(k, p, &d.s); text != "" {
			return compute.Invalid(opPath(i, key), "%s", text)
		}
		return nil
	}
	return core.Errorf(core.Invalid, opPath(i, ""), "%s: operation %s has no parameter %.40q", opPath(i, ""), st.op.name, key)
}

// defaults fills what was not given and checks the parameters together.
func (d *decoder) defaults(i int, st *step, given [maxParams]bool) error {
	for k, p := range st.op.params {
		if given[k] {
			continue
		}
		if !p.optional {
			return compute.Invalid(opPath(i, p.name), "is missing; operation %s needs it", st.op.name)
		}
		st.args.num[k] = p.def
	}
	if st.op.valid != nil {
		if param, text := st.op.valid(&st.args); param != "" {
			return compute.Invalid(opPath(i, param), "%s", text)
		}
	}
	return nil
}
