package wasmtest

import (
	"github.com/tenzro/tenzro/compute/wasm/isa"
)

// cursor walks over the children of a list.
type cursor struct {
	nodes []node
	of    node
}

func (c *cursor) more() bool { return len(c.nodes) > 0 }

func (c *cursor) next() (node, error) {
	if !c.more() {
		return node{}, c.of.errorf("(%s ...) ends too early", c.of.head())
	}
	n := c.nodes[0]
	c.nodes = c.nodes[1:]
	return n, nil
}

// name takes a $name if one is next.
func (c *cursor) name() string {
	if c.more() && isName(c.nodes[0]) {
		n, _ := c.next()
		return n.word
	}
	return ""
}

// lists takes the lists with the given head that come next.
func (c *cursor) lists(head string) (out []node) {
	for c.more() && c.nodes[0].head() == head {
		out = append(out, c.nodes[0])
		c.nodes = c.nodes[1:]
	}
	return out
}

// word takes the next node if it is the given word.
func (c *cursor) word(w string) bool {
	if c.more() && c.nodes[0].word == w {
		c.nodes = c.nodes[1:]
		return true
	}
	return false
}

func open(n node) *cursor { return &cursor{nodes: n.list[1:], of: n} }

// typeField is the first pass: (type $t (func ...)).
func (a *assembler) typeField(n node) error {
	if n.head() != "type" {
		return nil
	}
	c := open(n)
	name := c.name()
	fn, err := c.next()
	if err != nil || fn.head() != "func" {
		return n.errorf("want (type (func ...))")
	}
	inner := open(fn)
	params, _, results, err := signature(inner)
	if err != nil {
		return err
	}
	a.addType(functype(params, results), len(params))
	a.types.add(name)
	return nil
}

func (a *assembler) addType(encoded []byte, params int) uint32 {
	i := a.sections[secType].count
	if _, ok := a.signatures[string(encoded)]; !ok {
		a.signatures[string(encoded)] = i
	}
	a.sections[secType].add(encoded)
	a.params = append(a.params, params)
	return i
}

func functype(params, results []isa.ValueType) []byte {
	b := appendTypes([]byte{0x60}, params)
	return appendTypes(b, results)
}

func appendTypes(b []byte, types []isa.ValueType) []byte {
	b = isa.AppendU32(b, uint32(len(types)))
	for _, t := range types {
		b = append(b, byte(t))
	}
	return b
}

// signature takes (param ...)* (result ...)*; names has one entry per parameter.
func signature(c *cursor) (params []isa.ValueType, names []string, results []isa.ValueType, err error) {
	params, names, err = variables(c.lists("param"))
	if err != nil {
		return nil, nil, nil, err
	}
	results, _, err = variables(c.lists("result"))
	return params, names, results, err
}

// variables reads (param $x i32) or (param i32 i64) and the like.
func variables(lists []node) (types []isa.ValueType, names []string, err error) {
	for _, l := range lists {
		c := open(l)
		name := c.name()
		for c.more() {
			n, _ := c.next()
			t, err := valueType(n)
			if err != nil {
				return nil, nil, err
			}
			types, names = append(types, t), append(names, name)
		}
	}
	return types, names, nil
}

func valueType(n node) (isa.ValueType, error) {
	for _, t := range []isa.ValueType{isa.I32, isa.I64, isa.F32, isa.F64, isa.V128, isa.FuncRef, isa.ExternRef} {
		if t.String() == n.word {
			return t, nil
		}
	}
	return 0, n.errorf("unknown type %q", n.word)
}

// typeUse takes (type $t)? (param ...)* (result ...)* and returns the index of
// the type, adding it if it is new, and the parameters' names.
func (a *assembler) typeUse(c *cursor) (i uint32, names []string, err error) {
	uses := c.lists("type")
	params, names, results, err := signature(c)
	if err != nil {
		return 0, nil, err
	}
	if len(uses) == 0 {
		encoded := functype(params, results)
		if i, ok := a.signatures[string(encoded)]; ok {
			return i, names, nil
		}
		return a.addType(encoded, len(params)), names, nil
	}
	arg, err := open(uses[0]).next()
	if err != nil {
		return 0, nil, err
	}
	if i, err = index(&a.types, arg); err == nil && int(i) < len(a.params) && len(names) < a.params[i] {
		names = make([]string, a.params[i])
	}
	return i, names, err
}

// declare is the second pass: it gives every definition its index.
func (a *assembler) declare(n node) error {
	c := open(n)
	switch head := n.head(); head {
	case "import":
		return a.importField(c)
	case "func", "table", "memory", "global":
		s, kind := a.spaceOf(head)
		i := s.add(c.name())
		for _, e := range c.lists("export") {
			name, err := open(e).next()
			if err != nil {
				return err
			}
			a.export(name.text, kind, i)
		}
	case "elem":
		a.elems.add(c.name())
	case "data":
		a.datas.add(c.name())
	case "type", "export", "start", "section":
	default:
		return n.errorf("unknown field %q", head)
	}
	return nil
}

func (a *assembler) export(name []byte, kind byte, i uint32) {
	entry := append(appendName(nil, name), kind)
	a.sections[secExport].add(isa.AppendU32(entry, i))
}

// importField is (import "m" "n" (func $f ...)).
func (a *assembler) importField(c *cursor) error {
	if len(c.nodes) != 3 || len(c.nodes[2].list) == 0 {
		return c.of.errorf("want (import \"module\" \"name\" (kind ...))")
	}
	what := c.nodes[2]
	s, kind := a.spaceOf(what.head())
	if s == nil {
		return what.errorf("unknown import %q", what.head())
	}
	inner := open(what)
	s.add(inner.name())
	entry := appendName(appendName(nil, c.nodes[0].text), c.nodes[1].text)
	entry, err := a.description(append(entry, kind), kind, inner)
	a.sections[secImport].add(entry)
	return err
}

// description appends the type of a function, table, memory or global.
func (a *assembler) description(b []byte, kind byte, c *cursor) ([]byte, error) {
	switch kind {
	case 0:
		i, _, err := a.typeUse(c)
		return isa.AppendU32(b, i), err
	case 1:
		limits, err := limits(c)
		if err != nil {
			return b, err
		}
		n, err := c.next()
		if err != nil {
			return b, err
		}
		t, err := valueType(n)
		return append(append(b, byte(t)), limits...), err
	case 2:
		limits, err := limits(c)
		return append(b, limits...), err
	}
	return globalType(b, c)
}

// limits takes one or two numbers.
func limits(c *cursor) ([]byte, error) {
	n, err := c.next()
	if err != nil {
		return nil, err
	}
	low, err := integer(n, 32)
	if err != nil {
		return nil, err
	}
	b := isa.AppendU32([]byte{0}, uint32(low))
	if c.more() {
		if high, err := integer(c.nodes[0], 32); err == nil {
			b[0] = 1
			b = isa.AppendU32(b, uint32(high))
			_, _ = c.next()
		}
	}
	return b, nil
}

func globalType(b []byte, c *cursor) ([]byte, error) {
	n, err := c.next()
	if err != nil {
		return b, err
	}
	mutable := byte(0)
	if n.head() == "mut" {
		mutable = 1
		if n, err = open(n).next(); err != nil {
			return b, err
		}
	}
	t, err := valueType(n)
	return append(b, byte(t), mutable), err
}
