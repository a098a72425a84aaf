package convert

import (
	"github.com/tenzro/tenzro/compute/wasm/isa"
)

// constant reads and validates a constant expression of type want (section
// 3.3.13): one constant, reference, or value of an imported immutable global.
func (m *module) constant(s *reader, want isa.ValueType) constExpr {
	at := s.pos
	var in instr
	in.read(s)
	if s.err != nil {
		return nil
	}
	got, ok := m.constType(s, &in)
	if !ok {
		s.failAt(at, "", "a constant expression is required, found %s", in.op.Name)
		return nil
	}
	if got != want {
		s.failAt(at, "", "type mismatch in a constant expression: %s expected, found %s", want, got)
	}
	out := in.append(nil)
	if end := s.u8(); end != opEnd {
		s.failAt(s.pos-1, "only one instruction is allowed in WebAssembly 2.0", "the constant expression does not end")
	}
	return append(out, opEnd)
}

// constType returns the type of in, and whether it is constant.
func (m *module) constType(s *reader, in *instr) (isa.ValueType, bool) {
	switch in.op.Imm {
	case isa.ConstI32, isa.ConstI64, isa.ConstF32, isa.ConstF64, isa.ConstV128:
		return in.op.Results[0], true
	case isa.RefType:
		return isa.ValueType(in.a), true
	case isa.Func:
		if in.op.Code != opRefFunc {
			return 0, false
		}
		if int(in.a) >= len(m.funcs) {
			s.fail("unknown function %d", in.a)
		}
		m.referable[in.a] = true
		return isa.FuncRef, true
	case isa.Global:
		if in.op.Code != opGlobalGet {
			return 0, false
		}
		if int(in.a) >= m.importedGlobals {
			s.fail("unknown global %d: a constant expression sees imported globals only", in.a)
			return 0, true
		}
		g := m.globals[in.a]
		return g.value, !g.mutable
	}
	return 0, false
}

// Bits of an element segment's flags.
const (
	elemPassive  = 1 // or declarative
	elemExplicit = 2 // has a table index; declarative if passive
	elemExprs    = 4 // expressions instead of function indexes
)

func (m *module) elementSection(s *reader) {
	n := s.count("element segments", maxSegments)
	for i := 0; i < n && s.err == nil; i++ {
		m.elems = append(m.elems, m.element(s))
	}
}

func (m *module) element(s *reader) elemSegment {
	at := s.pos
	e := elemSegment{flags: s.u32(), elem: isa.FuncRef}
	if e.flags > 7 && s.err == nil {
		s.failAt(at, "", "unknown kind of element segment %d", e.flags)
		return e
	}
	if e.flags&elemPassive == 0 {
		if e.flags&elemExplicit != 0 {
			e.table = s.u32()
		}
		if s.err == nil && int(e.table) >= len(m.tables) {
			s.failAt(at, "", "unknown table %d", e.table)
			return e
		}
		e.offset = m.constant(s, isa.I32)
	}
	if e.flags&(elemPassive|elemExplicit) != 0 {
		e.elem = s.elemKind(e.flags&elemExprs != 0)
	}
	if e.flags&elemPassive == 0 && s.err == nil && m.tables[e.table].elem != e.elem {
		s.failAt(at, "", "type mismatch: elements of type %s for a table of type %s", e.elem, m.tables[e.table].elem)
	}
	m.elements(s, &e)
	return e
}

// elemKind reads a reference type, or the zero that stands for functions.
func (s *reader) elemKind(refType bool) isa.ValueType {
	if refType {
		return s.refType()
	}
	s.zero("element kind")
	return isa.FuncRef
}

func (m *module) elements(s *reader, e *elemSegment) {
	n := s.count("elements", maxElements)
	for i := 0; i < n && s.err == nil; i++ {
		if e.flags&elemExprs != 0 {
			e.exprs = append(e.exprs, m.constant(s, e.elem))
			continue
		}
		f := s.u32()
		if s.err == nil && int(f) >= len(m.funcs) {
			s.fail("unknown function %d", f)
		}
		m.referable[f] = true
		e.funcs = append(e.funcs, f)
	}
}

func (m *module) dataSection(s *reader) {
	n := s.count("data segments", maxSegments)
	for i := 0; i < n && s.err == nil; i++ {
		at := s.pos
		d := dataSegment{flags: s.u32()}
		switch {
		case s.err != nil:
			return
		case d.flags > 2:
			s.failAt(at, "", "unknown kind of data segment %d", d.flags)
		case d.flags == 2 && s.u32() != 0 || d.flags != 1 && len(m.memories) == 0:
			s.failAt(at, "", "unknown memory")
		case d.flags != 1:
			d.offset = m.constant(s, isa.I32)
		}
		d.bytes = s.bytes(int(s.u32()))
		m.datas = append(m.datas, d)
	}
}
