package wasmtest

import "github.com/tenzro/tenzro/compute/wasm/isa"

// define is the third pass: it writes the bodies.
func (a *assembler) define(n node) error {
	c := open(n)
	head := n.head()
	switch head {
	case "func", "table", "memory", "global":
		c.name()
		c.lists("export")
	}
	switch head {
	case "func":
		return a.function(c)
	case "table":
		b, err := a.description(nil, 1, c)
		a.sections[secTable].add(b)
		return err
	case "memory":
		b, err := limits(c)
		a.sections[secMemory].add(b)
		return err
	case "global":
		b, err := globalType(nil, c)
		if err != nil {
			return err
		}
		b, err = a.constant(b, c.nodes)
		a.sections[secGlobal].add(b)
		return err
	case "export":
		return a.exportField(c)
	case "start":
		return a.startField(c)
	case "elem":
		return a.elem(c)
	case "data":
		return a.data(c)
	case "section":
		return a.rawSection(c)
	}
	return nil
}

func (a *assembler) rawSection(c *cursor) error {
	id, err := c.next()
	if err != nil {
		return err
	}
	v, err := integer(id, 8)
	body := concat(c.nodes)
	a.tail = append(isa.AppendU32(append(a.tail, byte(v)), uint32(len(body))), body...)
	return err
}

func (a *assembler) exportField(c *cursor) error {
	if len(c.nodes) != 2 || len(c.nodes[1].list) != 2 {
		return c.of.errorf("want (export \"name\" (kind index))")
	}
	s, kind := a.spaceOf(c.nodes[1].head())
	if s == nil {
		return c.of.errorf("unknown export %q", c.nodes[1].head())
	}
	i, err := index(s, c.nodes[1].list[1])
	a.export(c.nodes[0].text, kind, i)
	return err
}

func (a *assembler) startField(c *cursor) error {
	n, err := c.next()
	if err != nil {
		return err
	}
	i, err := index(&a.funcs, n)
	a.start = isa.AppendU32(nil, i)
	return err
}

// constant appends a constant expression with its end.
func (a *assembler) constant(b []byte, nodes []node) ([]byte, error) {
	f := &function{a: a}
	if err := f.code(nodes); err != nil {
		return b, err
	}
	return append(append(b, f.out...), 0x0b), nil
}

// elem is (elem $e declare? (table $t)? (offset)? func? f...): function indexes
// only. Without an offset or declare the segment is passive.
func (a *assembler) elem(c *cursor) error {
	c.name()
	declarative := c.word("declare")
	tables := c.lists("table")
	var b []byte
	switch {
	case declarative:
		b = []byte{3, 0}
	case c.more() && len(c.nodes[0].list) > 0:
		var err error
		if b, err = a.activeElem(tables, c); err != nil {
			return err
		}
	default:
		b = []byte{1, 0}
	}
	c.word("func")
	b = isa.AppendU32(b, uint32(len(c.nodes)))
	for _, n := range c.nodes {
		i, err := index(&a.funcs, n)
		if err != nil {
			return err
		}
		b = isa.AppendU32(b, i)
	}
	a.sections[secElem].add(b)
	return nil
}

func (a *assembler) activeElem(tables []node, c *cursor) ([]byte, error) {
	offset, _ := c.next()
	if len(tables) == 0 {
		return a.constant([]byte{0}, []node{offset})
	}
	n, err := open(tables[0]).next()
	if err != nil {
		return nil, err
	}
	i, err := index(&a.tables, n)
	if err != nil {
		return nil, err
	}
	b, err := a.constant(isa.AppendU32([]byte{2}, i), []node{offset})
	return append(b, 0), err
}

// data is (data $d (offset)? "bytes"...); without an offset it is passive.
func (a *assembler) data(c *cursor) error {
	c.name()
	b := []byte{1}
	if c.more() && len(c.nodes[0].list) > 0 {
		offset, _ := c.next()
		var err error
		if b, err = a.constant([]byte{0}, []node{offset}); err != nil {
			return err
		}
	}
	a.sections[secData].add(appendName(b, concat(c.nodes)))
	return nil
}

// function writes one function's type and body.
func (a *assembler) function(c *cursor) error {
	i, params, err := a.typeUse(c)
	if err != nil {
		return err
	}
	a.sections[secFunc].add(isa.AppendU32(nil, i))
	types, names, err := variables(c.lists("local"))
	if err != nil {
		return err
	}
	f := &function{a: a}
	for _, name := range append(params, names...) {
		f.locals.add(name)
	}
	if err := f.code(c.nodes); err != nil {
		return err
	}
	body := isa.AppendU32(nil, uint32(len(types)))
	for _, t := range types {
		body = append(body, 1, byte(t))
	}
	body = append(append(body, f.out...), 0x0b)
	a.sections[secCode].add(appendName(nil, body))
	return nil
}
