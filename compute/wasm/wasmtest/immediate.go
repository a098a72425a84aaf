package wasmtest

import (
	"strconv"
	"strings"

	"github.com/tenzro/tenzro/compute/wasm/isa"
)

// immediates takes the operands of op from c and encodes them.
func (f *function) immediates(op *isa.Op, c *cursor) (b []byte, err error) {
	switch op.Imm {
	case isa.None, isa.Block:
		return nil, nil
	case isa.Label:
		return f.indexes(b, c, f.label)
	case isa.LabelTable:
		return f.labelTable(c)
	case isa.CallIndirect:
		return f.callIndirect(c)
	case isa.Memory:
		return []byte{0}, nil
	case isa.MemoryPair:
		return []byte{0, 0}, nil
	case isa.MemArg, isa.MemArgLane:
		return f.memArg(op, c)
	case isa.Types:
		types, _, err := variables(c.lists("result"))
		return appendTypes(nil, types), err
	case isa.RefType:
		return refType(c)
	case isa.Lane, isa.Lanes, isa.ConstI32, isa.ConstI64, isa.ConstF32, isa.ConstF64, isa.ConstV128:
		return numbers(op, c)
	}
	return f.spaceIndexes(op, c)
}

// spaceIndexes encodes indexes of functions, locals, globals, tables, segments.
func (f *function) spaceIndexes(op *isa.Op, c *cursor) ([]byte, error) {
	in := func(s *space) func(node) (uint32, error) {
		return func(n node) (uint32, error) { return index(s, n) }
	}
	switch op.Imm {
	case isa.Func:
		return f.indexes(nil, c, in(&f.a.funcs))
	case isa.Local:
		return f.indexes(nil, c, in(&f.locals))
	case isa.Global:
		return f.indexes(nil, c, in(&f.a.globals))
	case isa.Table:
		return f.optional(c, &f.a.tables, 1)
	case isa.TablePair:
		return f.optional(c, &f.a.tables, 2)
	case isa.Elem:
		return f.indexes(nil, c, in(&f.a.elems))
	case isa.ElemTable:
		return f.elemTable(c)
	}
	f.a.usesData = true // isa.Data, isa.DataMemory
	b, err := f.indexes(nil, c, in(&f.a.datas))
	if op.Imm == isa.DataMemory {
		b = append(b, 0)
	}
	return b, err
}

func (f *function) indexes(b []byte, c *cursor, resolve func(node) (uint32, error)) ([]byte, error) {
	n, err := c.next()
	if err != nil {
		return b, err
	}
	i, err := resolve(n)
	return isa.AppendU32(b, i), err
}

// optional takes count indexes, each 0 if left out.
func (f *function) optional(c *cursor, s *space, count int) (b []byte, err error) {
	for range count {
		i := uint32(0)
		if isIndex(c) {
			n, _ := c.next()
			if i, err = index(s, n); err != nil {
				return b, err
			}
		}
		b = isa.AppendU32(b, i)
	}
	return b, nil
}

func isIndex(c *cursor) bool {
	return c.more() && c.nodes[0].word != "" && (isName(c.nodes[0]) || c.nodes[0].word[0] >= '0' && c.nodes[0].word[0] <= '9')
}

// elemTable is table.init's (table)? elem; the binary has them the other way.
func (f *function) elemTable(c *cursor) ([]byte, error) {
	first, err := c.next()
	if err != nil {
		return nil, err
	}
	table, elem := uint32(0), first
	if isIndex(c) {
		if table, err = index(&f.a.tables, first); err != nil {
			return nil, err
		}
		elem, _ = c.next()
	}
	i, err := index(&f.a.elems, elem)
	return isa.AppendU32(isa.AppendU32(nil, i), table), err
}

// label resolves a name from the innermost block outwards.
func (f *function) label(n node) (uint32, error) {
	if !isName(n) {
		v, err := integer(n, 32)
		return uint32(v), err
	}
	for i := len(f.labels) - 1; i >= 0; i-- {
		if f.labels[i] == n.word {
			return uint32(len(f.labels) - 1 - i), nil
		}
	}
	return 0, n.errorf("unknown label %s", n.word)
}

func (f *function) labelTable(c *cursor) ([]byte, error) {
	var labels []uint32
	for isIndex(c) {
		n, _ := c.next()
		l, err := f.label(n)
		if err != nil {
			return nil, err
		}
		labels = append(labels, l)
	}
	if len(labels) == 0 {
		return nil, c.of.errorf("br_table without labels")
	}
	b := isa.AppendU32(nil, uint32(len(labels)-1))
	for _, l := range labels {
		b = isa.AppendU32(b, l)
	}
	return b, nil
}

func (f *function) callIndirect(c *cursor) ([]byte, error) {
	table, err := f.optional(c, &f.a.tables, 1)
	if err != nil {
		return nil, err
	}
	i, _, err := f.a.typeUse(c)
	return append(isa.AppendU32(nil, i), table...), err
}

// memArg takes offset=n, align=n and a lane, in this order.
func (f *function) memArg(op *isa.Op, c *cursor) ([]byte, error) {
	align, offset := uint64(1)<<op.Align, uint64(0)
	for _, o := range []struct {
		key  string
		dest *uint64
	}{{"offset=", &offset}, {"align=", &align}} {
		if !c.more() {
			break
		}
		if v, ok := strings.CutPrefix(c.nodes[0].word, o.key); ok {
			n, _ := c.next()
			var err error
			if *o.dest, err = strconv.ParseUint(v, 0, 32); err != nil {
				return nil, n.errorf("bad %s", n.word)
			}
		}
	}
	log := uint32(0)
	for ; align > 1; align >>= 1 {
		log++
	}
	b := isa.AppendU32(isa.AppendU32(nil, log), uint32(offset))
	if op.Imm == isa.MemArgLane {
		return appendInts(b, c, 1, 8)
	}
	return b, nil
}

func refType(c *cursor) ([]byte, error) {
	n, err := c.next()
	if err != nil {
		return nil, err
	}
	t, err := valueType(node{word: strings.TrimSuffix(n.word, "ref") + "ref", line: n.line})
	return []byte{byte(t)}, err
}

// numbers encodes constants and lanes.
func numbers(op *isa.Op, c *cursor) ([]byte, error) {
	switch op.Imm {
	case isa.Lane:
		return appendInts(nil, c, 1, 8)
	case isa.Lanes:
		return appendInts(nil, c, 16, 8)
	case isa.ConstV128:
		return vector(c)
	}
	n, err := c.next()
	if err != nil {
		return nil, err
	}
	switch op.Imm {
	case isa.ConstI32:
		v, err := integer(n, 32)
		return isa.AppendS64(nil, int64(int32(v))), err
	case isa.ConstI64:
		v, err := integer(n, 64)
		return isa.AppendS64(nil, int64(v)), err
	case isa.ConstF32:
		v, err := float(n, 32)
		return appendBits(nil, v, 4), err
	}
	v, err := float(n, 64)
	return appendBits(nil, v, 8), err
}

func appendInts(b []byte, c *cursor, count, bits int) ([]byte, error) {
	for range count {
		n, err := c.next()
		if err != nil {
			return b, err
		}
		v, err := integer(n, bits)
		if err != nil {
			return b, err
		}
		b = appendBits(b, v, bits/8)
	}
	return b, nil
}

// vector is a shape and its lanes: i32x4 1 2 3 4.
func vector(c *cursor) ([]byte, error) {
	shape, err := c.next()
	if err != nil {
		return nil, err
	}
	bits, lanes, ok := strings.Cut(shape.word[min(1, len(shape.word)):], "x")
	size, err1 := strconv.Atoi(bits)
	count, err2 := strconv.Atoi(lanes)
	if !ok || err1 != nil || err2 != nil || size*count != 128 || size > 64 {
		return nil, shape.errorf("unknown shape %q", shape.word)
	}
	if shape.word[0] == 'i' {
		return appendInts(nil, c, count, size)
	}
	var b []byte
	for range count {
		n, err := c.next()
		if err != nil {
			return b, err
		}
		v, err := float(n, size)
		if err != nil {
			return b, err
		}
		b = appendBits(b, v, size/8)
	}
	return b, nil
}
