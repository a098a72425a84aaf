package convert

import (
	"slices"
	"sort"

	"github.com/tenzro/tenzro/compute/wasm/isa"
)

// special validates the instructions whose type depends on where they stand.
func (v *validator) special() {
	switch v.in.op.Code {
	case opNop:
	case opUnreachable:
		v.unreachable()
	case opBlock, opLoop, opIf:
		v.block()
	case opElse:
		v.elseArm()
	case opEnd:
		v.end()
	case opBr, opBrIf, opBrTable, opReturn:
		v.branch()
	case opCall, opCallIndirect:
		v.call()
	case opDrop:
		v.pop()
	case opSelect, opSelectT:
		v.selectOne()
	default:
		v.variable()
	}
}

func (v *validator) variable() {
	switch v.in.op.Code {
	case opLocalGet, opLocalSet, opLocalTee:
		v.local()
	case opGlobalGet, opGlobalSet:
		v.global()
	case opRefNull:
		v.result(isa.ValueType(v.in.a), classRaw)
	case opRefIsNull:
		if o := v.pop(); o.t != 0 && !o.t.Ref() {
			v.fail("type mismatch: ref.is_null wants a reference, found %s", o.t)
		}
		v.result(isa.I32, classRaw)
	case opRefFunc:
		if int(v.in.a) >= len(v.m.funcs) {
			v.fail("unknown function %d", v.in.a)
		} else if !v.m.referable[v.in.a] {
			v.fail("undeclared function reference %d", v.in.a)
		}
		v.result(isa.FuncRef, classRaw)
	default:
		v.tableOp()
	}
}

func (v *validator) tableOp() {
	t := v.table(v.in.a)
	switch v.in.op.Code {
	case opTableGet:
		v.seen(isa.I32)
		v.result(t, classRaw)
	case opTableSet:
		v.seen(isa.I32, t)
	case opTableGrow:
		v.seen(t, isa.I32)
		v.result(isa.I32, classRaw)
	case opTableFill:
		v.seen(isa.I32, t, isa.I32)
	}
}

// open begins a segment.
func (v *validator) open(s segment) {
	v.charges = append(v.charges, s)
	v.current = int32(len(v.charges) - 1)
}

func (v *validator) enter(op isa.Opcode, params, results []isa.ValueType) {
	dead := len(v.frames) > 0 && v.dead()
	if len(v.frames) > maxNesting {
		v.fail("blocks are nested deeper than %d", maxNesting)
	}
	v.ids++
	v.facts.blocks++
	v.facts.merges += len(params) + len(results)
	v.frames = append(v.frames, frame{op: op, params: params, results: results, height: len(v.stack), dead: dead,
		segment: v.current, escape: int32(len(v.frames)), id: v.ids})
	v.results(params)
}

// block validates block, loop and if.
func (v *validator) block() {
	params, results := v.blockType()
	op := v.in.op.Code
	if op == opIf {
		v.take(isa.I32)
	}
	v.seen(params...)
	v.enter(op, params, results)
	switch {
	case v.dead():
	case op == opLoop:
		v.open(segment{at: v.index + 1, head: -1})
	case op == opIf:
		v.open(segment{at: v.index + 1, head: v.current})
	}
}

// blockType resolves the immediate of a block (section 5.4.1).
func (v *validator) blockType() (params, results []isa.ValueType) {
	i := v.in.value
	switch {
	case i == blockEmpty && v.r.pos == v.in.at+2:
		return nil, nil
	case i >= 0 && int(i) < len(v.m.types):
		return v.m.types[i].Params, v.m.types[i].Results
	case i >= 0:
		v.fail("unknown type %d", i)
		return nil, nil
	}
	if t := isa.ValueType(i & 0x7f); t.Valid() && v.r.pos == v.in.at+2 {
		return nil, []isa.ValueType{t}
	}
	v.fail("unknown block type %d", i)
	return nil, nil
}

// leave checks the end of the innermost block's code and removes the block.
func (v *validator) leave() frame {
	f := *v.top()
	v.seen(f.results...)
	if len(v.stack) != f.height {
		v.fail("type mismatch: %d values too many at the end of the block", len(v.stack)-f.height)
		v.stack = v.stack[:min(f.height, len(v.stack))]
	}
	v.frames = v.frames[:len(v.frames)-1]
	return f
}

func (v *validator) elseArm() {
	f := v.leave()
	if f.op != opIf {
		v.fail("else without if")
	}
	v.frames = append(v.frames, f)
	t := v.top()
	t.op, t.unreachable = opElse, false
	v.results(f.params)
	if !f.dead {
		v.open(segment{at: v.index + 1, head: f.segment})
	}
}

// end closes a block. What follows is paid for with what stood in front of the
// block, unless a branch in it may have left to farther out: then it is a block
// of its own.
func (v *validator) end() {
	f := v.leave()
	if f.op == opIf && !slices.Equal(f.params, f.results) {
		v.fail("type mismatch: an if without else must return what it takes")
	}
	if len(v.frames) == 0 {
		return
	}
	v.results(f.results)
	t := v.top()
	t.escape = min(t.escape, f.escape)
	switch {
	case f.dead:
	case f.escape < int32(len(v.frames)):
		v.open(segment{at: v.index + 1, head: -1})
	default:
		v.current = f.segment
	}
}

// unreachable says that the rest of the block never runs.
func (v *validator) unreachable() {
	f := v.top()
	v.stack = v.stack[:max(f.height, 0)]
	f.unreachable = true
}

// target returns the frame that label l names.
func (v *validator) target(l uint32) *frame {
	if int64(l) >= int64(len(v.frames)) {
		v.fail("unknown label %d", l)
		return &v.frames[0]
	}
	depth := int32(len(v.frames)) - 1 - int32(l)
	t := v.top()
	t.escape = min(t.escape, depth)
	return &v.frames[depth]
}

func (v *validator) branch() {
	switch v.in.op.Code {
	case opBr:
		v.seen(v.target(v.in.a).label()...)
		v.unreachable()
	case opBrIf:
		v.branchIf()
	case opReturn:
		v.target(uint32(len(v.frames) - 1))
		v.seen(v.typ.Results...)
		v.unreachable()
	case opBrTable:
		v.branchTable()
	}
}

// branchIf is a place where a metering block may end early.
func (v *validator) branchIf() {
	v.take(isa.I32)
	types := v.target(v.in.a).label()
	v.seen(types...)
	v.spend(len(types))
	for _, t := range types {
		v.push(t, classRaw, v.index)
	}
	if !v.dead() {
		v.open(segment{at: v.index + 1, head: v.current})
	}
}

// branchTable checks that all labels carry the same types as the last one or,
// where operands are unknown, types that fit the operands.
func (v *validator) branchTable() {
	v.take(isa.I32)
	last := v.target(v.in.labels[len(v.in.labels)-1]).label()
	for _, l := range v.in.labels {
		types := v.target(l).label()
		switch {
		case len(types) != len(last):
			v.fail("type mismatch: labels carry %d and %d values", len(types), len(last))
			return
		case len(types) > 0 && &types[0] != &last[0]:
			v.fits(types)
		}
	}
	v.seen(last...)
	v.unreachable()
}

// fits checks types against the operands on the stack and leaves them there.
func (v *validator) fits(types []isa.ValueType) {
	v.spend(len(types))
	for i, t := range slices.Backward(types) {
		at := len(v.stack) - len(types) + i
		if at < v.top().height {
			if !v.top().unreachable {
				v.fail("type mismatch: %s finds no operand", v.in.op.Name)
			}
			return
		}
		if o := v.stack[at]; o.t != t && o.t != 0 {
			v.fail("type mismatch: %s wants %s, found %s", v.in.op.Name, t, o.t)
		}
	}
}

func (v *validator) call() {
	v.facts.calls = true
	v.facts.callSites++
	if v.in.op.Code == opCall {
		if int(v.in.a) >= len(v.m.funcs) {
			v.fail("unknown function %d", v.in.a)
			return
		}
		v.apply(v.m.funcType(v.in.a))
		return
	}
	switch {
	case int(v.in.a) >= len(v.m.types):
		v.fail("unknown type %d", v.in.a)
	case v.table(v.in.b) != isa.FuncRef:
		v.fail("type mismatch: table %d does not hold functions", v.in.b)
	default:
		v.take(isa.I32)
		v.apply(&v.m.types[v.in.a])
	}
}

func (v *validator) apply(t *FuncType) {
	v.seen(t.Params...)
	v.results(t.Results)
}

// selectOne validates both forms of select. Its result is as loose as what it
// chooses from.
func (v *validator) selectOne() {
	v.take(isa.I32)
	if v.in.op.Code == opSelectT {
		if len(v.in.types) != 1 {
			v.fail("invalid result arity: select has one type, found %d", len(v.in.types))
			return
		}
		b, a := v.take(v.in.types[0]), v.take(v.in.types[0])
		v.choice(v.in.types[0], a, b)
		return
	}
	b, a := v.pop(), v.pop()
	t := a.t
	if t == 0 {
		t = b.t
	}
	if t.Ref() || a.t != 0 && b.t != 0 && a.t != b.t {
		v.fail("type mismatch: select between %s and %s", a.t, b.t)
	}
	v.choice(t, a, b)
}

func (v *validator) choice(t isa.ValueType, a, b operand) {
	if a.class == classRaw || b.class == classRaw {
		v.see(a, markSeen)
		v.see(b, markSeen)
		v.result(t, classRaw)
		return
	}
	n := v.flow.named(v.index)
	v.flow.into(a, n)
	v.flow.into(b, n)
	v.result(t, classNode+class(n))
}

// loose reports whether values of type t can be loose.
func loose(t isa.ValueType) bool { return t == isa.F32 || t == isa.F64 || t == isa.V128 }

func (v *validator) local() {
	i := v.in.a
	if int(i) >= len(v.locals) {
		v.fail("unknown local %d", i)
		return
	}
	t := v.locals[i]
	if v.in.op.Code == opLocalGet {
		c := classRaw
		if loose(t) {
			c = classNode + class(i)
		}
		v.push(t, c, v.index)
		return
	}
	o := v.take(t)
	v.assigned(i)
	if loose(t) {
		v.flow.into(o, int32(i))
	}
	if v.in.op.Code == opLocalTee {
		v.push(t, o.class, o.from)
	}
}

// assigned counts the open blocks in which local i is set for the first time:
// where such a block ends, or a loop begins, its values may have to be merged.
func (v *validator) assigned(i uint32) {
	known := sort.Search(len(v.frames), func(n int) bool { return v.frames[n].id > v.lastSet[i] })
	v.facts.merges += len(v.frames) - known
	v.lastSet[i] = v.ids
}

func (v *validator) global() {
	i := v.in.a
	if int(i) >= len(v.m.globals) {
		v.fail("unknown global %d", i)
		return
	}
	g := v.m.globals[i]
	if g.mutable {
		v.facts.globalUses[i] = true
	}
	switch {
	case v.in.op.Code == opGlobalGet:
		v.result(g.value, classRaw)
	case !g.mutable:
		v.fail("global is immutable: %d", i)
	default:
		v.seen(g.value)
	}
}
