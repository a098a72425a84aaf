package wasmtest

import (
	"math"
	"strconv"
	"strings"

	"github.com/tenzro/tenzro/compute/wasm/isa"
)

// function is the code of one function or constant expression.
type function struct {
	a      *assembler
	locals space
	labels []string // innermost last
	out    []byte
}

// code assembles a sequence of plain and folded instructions.
func (f *function) code(nodes []node) error {
	c := &cursor{nodes: nodes, of: node{list: []node{{word: "code"}}}}
	for c.more() {
		n, _ := c.next()
		c.of.line = n.line
		var err error
		if n.list != nil {
			err = f.folded(n)
		} else {
			err = f.plain(n, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// plain is an instruction whose immediates follow in c.
func (f *function) plain(n node, c *cursor) error {
	switch n.word {
	case "block", "loop", "if":
		return f.enter(n, c)
	case "else":
		c.name()
		f.out = append(f.out, 0x05)
		return nil
	case "end":
		c.name()
		return f.leave(n)
	}
	op, err := lookup(n, c)
	if err != nil {
		return err
	}
	imm, err := f.immediates(op, c)
	f.out = append(f.emit(op), imm...)
	return err
}

// lookup finds an instruction; select with types has an opcode of its own.
func lookup(n node, c *cursor) (*isa.Op, error) {
	name := n.word
	if name == "select" && c.more() && c.nodes[0].head() == "result" {
		name = "select_t"
	}
	op := isa.Named(name)
	if op == nil {
		return nil, n.errorf("unknown instruction %q", n.word)
	}
	return op, nil
}

func (f *function) emit(op *isa.Op) []byte { return op.Code.Append(f.out) }

func (f *function) enter(n node, c *cursor) error {
	f.labels = append(f.labels, c.name())
	f.out = f.emit(isa.Named(n.word))
	return f.blockType(c)
}

func (f *function) leave(n node) error {
	if len(f.labels) > 0 {
		f.labels = f.labels[:len(f.labels)-1]
	}
	f.out = append(f.out, 0x0b)
	return nil
}

// blockType takes (type $t) or (param ...) (result ...).
func (f *function) blockType(c *cursor) error {
	if !c.more() || c.nodes[0].head() == "result" && simple(c) {
		t := byte(0x40)
		if c.more() {
			l := c.lists("result")[0]
			v, err := valueType(l.list[1])
			if err != nil {
				return err
			}
			t = byte(v)
		}
		f.out = append(f.out, t)
		return nil
	}
	switch c.nodes[0].head() {
	case "type", "param", "result":
		i, _, err := f.a.typeUse(c)
		f.out = isa.AppendS64(f.out, int64(i))
		return err
	}
	f.out = append(f.out, 0x40)
	return nil
}

// simple reports whether exactly one result comes next.
func simple(c *cursor) bool {
	return len(c.nodes[0].list) == 2 && (len(c.nodes) == 1 || c.nodes[1].head() != "result")
}

// folded is (op immediates... operands...).
func (f *function) folded(n node) error {
	c := open(n)
	switch n.head() {
	case "block", "loop":
		return f.foldedBlock(n, c)
	case "if":
		return f.foldedIf(n, c)
	case "repeat":
		return f.repeat(c)
	case "raw":
		f.out = append(f.out, concat(c.nodes)...)
		return nil
	}
	op, err := lookup(n.list[0], c)
	if err != nil {
		return err
	}
	imm, err := f.immediates(op, c)
	if err != nil {
		return err
	}
	if err := f.code(c.nodes); err != nil {
		return err
	}
	f.out = append(f.emit(op), imm...)
	return nil
}

func (f *function) foldedBlock(n node, c *cursor) error {
	if err := f.enter(n.list[0], c); err != nil {
		return err
	}
	if err := f.code(c.nodes); err != nil {
		return err
	}
	return f.leave(n)
}

// foldedIf is (if $l type... condition... (then ...) (else ...)?).
func (f *function) foldedIf(n node, c *cursor) error {
	inner := &function{a: f.a, locals: f.locals, labels: f.labels}
	if err := inner.enter(n.list[0], c); err != nil {
		return err
	}
	for c.more() && c.nodes[0].head() != "then" {
		condition, _ := c.next()
		if err := f.code([]node{condition}); err != nil {
			return err
		}
	}
	for i, arm := range []string{"then", "else"} {
		for _, l := range c.lists(arm) {
			if i == 1 {
				inner.out = append(inner.out, 0x05)
			}
			if err := inner.code(l.list[1:]); err != nil {
				return err
			}
		}
	}
	if c.more() {
		return c.nodes[0].errorf("want (then ...) or (else ...)")
	}
	f.out = append(append(f.out, inner.out...), 0x0b)
	return nil
}

// repeat is (repeat count instructions...).
func (f *function) repeat(c *cursor) error {
	n, err := c.next()
	if err != nil {
		return err
	}
	count, err := integer(n, 32)
	if err != nil {
		return err
	}
	for range count {
		if err := f.code(c.nodes); err != nil {
			return err
		}
	}
	return nil
}

// integer reads a decimal or hexadecimal number, signed or not.
func integer(n node, bits int) (uint64, error) {
	word := strings.ReplaceAll(n.word, "_", "")
	if v, err := strconv.ParseUint(strings.TrimPrefix(word, "+"), 0, bits); err == nil {
		return v, nil
	}
	v, err := strconv.ParseInt(word, 0, bits)
	if err != nil {
		return 0, n.errorf("%q is no number of %d bits", n.word, bits)
	}
	return uint64(v), nil
}

// float reads a decimal number, inf, nan or nan:0x payload, as bits.
func float(n node, bits int) (uint64, error) {
	word, negative := strings.CutPrefix(n.word, "-")
	sign := uint64(0)
	if negative {
		sign = 1 << (bits - 1)
	}
	if payload, ok := strings.CutPrefix(word, "nan:"); ok {
		v, err := strconv.ParseUint(payload, 0, bits)
		return sign | exponent(bits) | v, err
	}
	v, err := strconv.ParseFloat(strings.TrimPrefix(word, "+"), bits)
	if err != nil {
		return 0, n.errorf("%q is no number", n.word)
	}
	switch {
	case math.IsNaN(v):
		return sign | exponent(bits) | (exponent(bits)>>1)&^exponent(bits), nil
	case bits == 32:
		return sign | uint64(math.Float32bits(float32(v))), nil
	}
	return sign | math.Float64bits(v), nil
}

func exponent(bits int) uint64 {
	if bits == 32 {
		return 0x7f80_0000
	}
	return 0x7ff0_0000_0000_0000
}
