package convert

import (
	"encoding/binary"

	"github.com/tenzro/tenzro/compute/wasm/isa"
)

// shape is how a value is known to be interpreted as floating-point numbers.
type shape uint8

const (
	shapeNone shape = iota
	shapeF32
	shapeF64
	shapeF32x4
	shapeF64x2
	shapeRaw // of a node: bits that must not be touched may flow in
)

// class says what is known about the NaNs of an operand.
//
//	classRaw           its bits must be kept: loaded, passed in, made by integers
//	classPlain         no NaN, or the canonical one
//	a shape            the result of arithmetic: a NaN with unspecified bits
//	classNode + n      whatever node n turns out to be
//
// An operand of the last two is "loose": it may still have unspecified bits, and
// is canonicalised where it was made if anybody sees them (marks). Arithmetic,
// comparisons and conversions do not see bits of NaNs, so a chain of arithmetic
// costs nothing until its result is stored, passed on or reinterpreted.
type class int32

const (
	classRaw   class = 0
	classPlain class = 1
	classShape class = 2  // + shape
	classNode  class = 16 // + node
)

func shaped(s shape) class { return classShape + class(s) }

// Bits of the marks of an instruction.
const (
	markSeen  = 1 << iota // all bits of the result are seen
	markAsF32             // seen as f32x4: matters if it is of another shape
	markAsF64             // seen as f64x2
	markDead              // never runs: left out
)

// flow follows the NaNs of one function. A node is a variable that several
// values flow into: a local, or the result of a select. It holds arithmetic of
// one shape, or is raw; then whatever loose flows in is canonicalised first.
type flow struct {
	nodes  []shape
	first  []int32 // of each node, its first outgoing edge + 1
	edges  []edge
	nodeOf map[int32]int32 // instruction -> node, for select and abs
}

// edge is "the value made by instruction from, of class src, flows into node to".
type edge struct {
	src  class
	from int32
	to   int32
	next int32 // the next edge out of the same node + 1
}

// reset starts a function with that many parameters and locals in all.
// Parameters are raw: the caller may pass any bits.
func (f *flow) reset(params, locals int) {
	f.nodes, f.first, f.edges = f.nodes[:0], f.first[:0], f.edges[:0]
	f.nodeOf = nil
	for i := range locals {
		n := f.node()
		if i < params {
			f.nodes[n] = shapeRaw
		}
	}
}

func (f *flow) node() int32 {
	f.nodes, f.first = append(f.nodes, shapeNone), append(f.first, 0)
	return int32(len(f.nodes) - 1)
}

// named gives instruction i a node of its own.
func (f *flow) named(i int32) int32 {
	if f.nodeOf == nil {
		f.nodeOf = map[int32]int32{}
	}
	n := f.node()
	f.nodeOf[i] = n
	return n
}

// into records that v flows into node n.
func (f *flow) into(v operand, n int32) {
	switch {
	case v.class == classPlain:
		return
	case v.class == classRaw:
		f.nodes[n] = shapeRaw
		return
	}
	e := edge{src: v.class, from: v.from, to: n}
	if v.class >= classNode {
		src := v.class - classNode
		e.next = f.first[src]
		f.first[src] = int32(len(f.edges)) + 1
	}
	f.edges = append(f.edges, e)
}

// solve spreads shapes along the edges until nothing changes, and marks what has
// to be canonicalised before it flows into a raw node. A node changes at most
// twice, so this is linear in the number of edges.
func (f *flow) solve(marks []byte) {
	var changed []int32
	for i, s := range f.nodes {
		if s == shapeRaw {
			changed = append(changed, int32(i))
		}
	}
	for _, e := range f.edges {
		if e.src < classNode && f.join(e.to, shape(e.src-classShape)) {
			changed = append(changed, e.to)
		}
	}
	for len(changed) > 0 {
		n := changed[len(changed)-1]
		changed = changed[:len(changed)-1]
		for i := f.first[n]; i != 0; i = f.edges[i-1].next {
			if to := f.edges[i-1].to; f.join(to, f.nodes[n]) {
				changed = append(changed, to)
			}
		}
	}
	for _, e := range f.edges {
		if f.nodes[e.to] == shapeRaw {
			marks[e.from] |= markSeen
		}
	}
}

// join adds s to what node n may hold and reports whether that changed it.
func (f *flow) join(n int32, s shape) bool {
	old := f.nodes[n]
	switch {
	case s == shapeNone || old == s || old == shapeRaw:
		return false
	case old == shapeNone:
		f.nodes[n] = s
	default:
		f.nodes[n] = shapeRaw
	}
	return true
}

// canonical reports as which shape the result of a marked instruction must be
// canonicalised, shapeNone if it need not be.
func canonical(s shape, marks byte) shape {
	switch {
	case s == shapeRaw:
		return shapeNone
	case marks&markSeen != 0, s == shapeF32x4 && marks&markAsF64 != 0, s == shapeF64x2 && marks&markAsF32 != 0:
		return s
	}
	return shapeNone
}

// floating describes what an instruction does with NaNs: as which shape it takes
// its operands without seeing their bits (shapeNone: it sees them), and the
// class of its result.
func floating(c isa.Opcode) (in shape, out class) {
	switch {
	case c < 0x100:
		return scalarFloating(c)
	case c>>8 == isa.PrefixVector:
		return vectorFloating(c)
	case c <= 0xfc01, c >= 0xfc04 && c <= 0xfc05: // trunc_sat_f32
		return shapeF32, classRaw
	case c <= 0xfc07:
		return shapeF64, classRaw
	}
	return shapeNone, classRaw
}

func scalarFloating(c isa.Opcode) (in shape, out class) {
	switch {
	case c >= 0x5b && c <= 0x60, c == 0xa8, c == 0xa9, c == 0xae, c == 0xaf: // compare, trunc
		return shapeF32, classRaw
	case c >= 0x61 && c <= 0x66, c == 0xaa, c == 0xab, c == 0xb0, c == 0xb1:
		return shapeF64, classRaw
	case c >= 0x8d && c <= 0x97: // ceil to max
		return shapeF32, shaped(shapeF32)
	case c >= 0x9b && c <= 0xa5:
		return shapeF64, shaped(shapeF64)
	case c == 0xb6: // demote
		return shapeF64, shaped(shapeF32)
	case c == 0xbb: // promote
		return shapeF32, shaped(shapeF64)
	case c >= 0xb2 && c <= 0xba: // convert
		return shapeNone, classPlain
	}
	return shapeNone, classRaw
}

func vectorFloating(c isa.Opcode) (in shape, out class) {
	switch {
	case c >= 0xfd41 && c <= 0xfd46, c == 0xfdf8, c == 0xfdf9: // compare, trunc_sat
		return shapeF32x4, classRaw
	case c >= 0xfd47 && c <= 0xfd4c, c == 0xfdfc, c == 0xfdfd:
		return shapeF64x2, classRaw
	case c >= 0xfd67 && c <= 0xfd6a, c >= 0xfde3 && c <= 0xfde9: // ceil to nearest, sqrt to max
		return shapeF32x4, shaped(shapeF32x4)
	case c == 0xfd74, c == 0xfd75, c == 0xfd7a, c == 0xfd94, c >= 0xfdef && c <= 0xfdf5:
		return shapeF64x2, shaped(shapeF64x2)
	case c == 0xfd5e: // demote
		return shapeF64x2, shaped(shapeF32x4)
	case c == 0xfd5f: // promote
		return shapeF32x4, shaped(shapeF64x2)
	}
	return shapeNone, classRaw
}

// constClass returns the class of a constant: most have no NaN under any shape.
func constClass(in *instr) class {
	switch in.op.Imm {
	case isa.ConstF32:
		return plainIf(!odd32(uint32(in.value)))
	case isa.ConstF64:
		return plainIf(!odd64(uint64(in.value)))
	}
	for i := 0; i < 16; i += 4 {
		if odd32(binary.LittleEndian.Uint32(in.raw[i:])) || i%8 == 0 && odd64(binary.LittleEndian.Uint64(in.raw[i:])) {
			return classRaw
		}
	}
	return classPlain
}

func plainIf(ok bool) class {
	if ok {
		return classPlain
	}
	return classRaw
}

// The canonical NaNs (section 2.2.3), positive.
const (
	nan32 = 0x7fc00000
	nan64 = 0x7ff8000000000000
)

// odd32 and odd64 report whether v is a NaN other than the canonical one.
func odd32(v uint32) bool { return v&0x7fffffff > 0x7f800000 && v != nan32 }
func odd64(v uint64) bool { return v&(1<<63-1) > 0x7ff0000000000000 && v != nan64 }
