package convert

import (
	"slices"

	"github.com/tenzro/tenzro/compute/wasm/isa"
)

// operand is a value on the operand stack. Its type is 0 when it is unknown,
// behind a branch that is always taken. from is the instruction that made it.
type operand struct {
	t     isa.ValueType
	class class
	from  int32
}

// frame is an open block (the control stack of the validation algorithm).
type frame struct {
	op              isa.Opcode
	params, results []isa.ValueType
	height          int   // of the operand stack when it was entered
	unreachable     bool  // what follows never runs
	dead            bool  // the block itself stands where nothing runs
	segment         int32 // that was being charged when it was entered
	escape          int32 // the outermost frame that a branch in it goes to
	id              int32 // counts up, so that an inner frame has a greater one
}

// label returns the types a branch to f carries.
func (f *frame) label() []isa.ValueType {
	if f.op == opLoop {
		return f.params
	}
	return f.results
}

// validator checks function bodies as the appendix of the specification does
// ("validation algorithm") and gathers on the way what the rewriting needs. One
// validator serves all functions of a module, to reuse its memory.
type validator struct {
	m      *module
	r      *reader
	in     instr
	typ    *FuncType
	locals []isa.ValueType
	stack  []operand
	frames []frame
	flow   flow

	index   int32     // of the current instruction
	marks   []byte    // of each instruction
	charges []segment // in order of at
	current int32     // the segment being charged

	work    int     // what may still be done, see spend
	ids     int32   // the last frame id
	lastSet []int32 // of each local, the last frame id when it was last set
	facts   facts
}

// facts decide what the frame of a function weighs and whether it is weighed.
type facts struct {
	calls      bool
	maxHeight  int
	values     int // results of instructions
	merges     int // values of locals that differ between paths that meet
	callSites  int
	blocks     int
	globalUses map[uint32]bool
	vectors    bool
}

// workPerByte bounds what a byte of input may cost: a type of 256 values can be
// named in two bytes.
const workPerByte = 32

func newValidator(m *module) *validator {
	return &validator{m: m, work: 8<<20 + workPerByte*len(m.input)}
}

// spend pays for handling n values.
func (v *validator) spend(n int) {
	if v.work -= n; v.work < 0 {
		v.fail("the module is too complex for its size")
	}
}

func (v *validator) fail(format string, args ...any) { v.r.failAt(v.in.at, "", format, args...) }

// function validates the body of a function with the given type. After it,
// marks, charges, flow and facts describe the body.
func (v *validator) function(t *FuncType, r *reader) {
	v.typ, v.r = t, r
	v.stack, v.frames, v.marks, v.charges = v.stack[:0], v.frames[:0], v.marks[:0], v.charges[:0]
	v.index, v.ids, v.facts = 0, 0, facts{globalUses: map[uint32]bool{}}
	v.in.at = 0
	v.readLocals()
	v.flow.reset(len(t.Params), len(v.locals))
	v.lastSet = append(v.lastSet[:0], make([]int32, len(v.locals))...)
	v.open(segment{at: 0, head: -1, cost: costEntry + uint64(len(v.locals))})
	v.enter(opBlock, nil, t.Results)
	for r.err == nil && len(v.frames) > 0 {
		v.in.read(r)
		if r.err == nil {
			v.step()
		}
	}
	r.end()
	v.weighable()
	if r.err == nil {
		v.flow.solve(v.marks)
		settle(v.charges)
	}
}

// readLocals reads the compressed declaration of locals behind the parameters.
func (v *validator) readLocals() {
	v.locals = append(v.locals[:0], v.typ.Params...)
	for range v.r.count("groups of locals", maxLocals) {
		n, t := v.r.u32(), v.r.valueType()
		if v.r.err != nil {
			return
		}
		if int(n) > maxLocals-len(v.locals) {
			v.r.fail("more than %d locals", maxLocals)
			return
		}
		for range n {
			v.locals = append(v.locals, t)
		}
	}
	v.facts.vectors = slices.Contains(v.locals, isa.V128)
	v.spend(len(v.locals))
}

func (v *validator) top() *frame { return &v.frames[len(v.frames)-1] }

// dead reports whether the current instruction never runs.
func (v *validator) dead() bool { return v.top().unreachable || v.top().dead }

// step validates one instruction.
func (v *validator) step() {
	dead := v.dead()
	v.marks = append(v.marks, 0)
	if !dead {
		v.charges[v.current].cost += cost(v.in.op)
	} else if !v.closes() {
		v.marks[v.index] = markDead
	}
	if v.in.op.Special {
		v.special()
	} else {
		v.typed()
	}
	if v.index++; v.index%4096 == 0 {
		v.weighable()
	}
}

// weighable refuses a function whose frame would be too large, before it has
// taken much memory here.
func (v *validator) weighable() {
	if n := v.slots(); n > maxSlots {
		v.r.failAt(v.in.at, "split the function", "too many values: a stack frame of %d or more, at most %d are allowed", n, maxSlots)
	}
}

// closes reports whether the current instruction ends a block that is not dead
// as a whole, which it must do in dead code too.
func (v *validator) closes() bool {
	c := v.in.op.Code
	return (c == opElse || c == opEnd) && !v.top().dead
}

func (v *validator) push(t isa.ValueType, c class, from int32) {
	if len(v.stack) == maxOperands {
		v.fail("more than %d operands at a time", maxOperands)
		return
	}
	v.stack = append(v.stack, operand{t, c, from})
	v.facts.maxHeight = max(v.facts.maxHeight, len(v.stack))
}

// result pushes a value that the current instruction makes.
func (v *validator) result(t isa.ValueType, c class) {
	v.facts.values++
	v.facts.vectors = v.facts.vectors || t == isa.V128
	v.push(t, c, v.index)
}

func (v *validator) results(types []isa.ValueType) {
	v.spend(len(types))
	for _, t := range types {
		v.result(t, classRaw)
	}
}

// pop takes an operand of any type.
func (v *validator) pop() operand {
	f := v.top()
	if len(v.stack) > f.height {
		o := v.stack[len(v.stack)-1]
		v.stack = v.stack[:len(v.stack)-1]
		return o
	}
	if !f.unreachable {
		v.fail("type mismatch: %s finds no operand", v.in.op.Name)
	}
	return operand{}
}

// take pops an operand of type t.
func (v *validator) take(t isa.ValueType) operand {
	o := v.pop()
	if o.t != t && o.t != 0 {
		v.fail("type mismatch: %s wants %s, found %s", v.in.op.Name, t, o.t)
	}
	return o
}

// seen pops operands of the given types, whose bits somebody may look at.
func (v *validator) seen(types ...isa.ValueType) {
	v.spend(len(types))
	for _, t := range slices.Backward(types) {
		v.see(v.take(t), markSeen)
	}
}

// see marks the maker of o.
func (v *validator) see(o operand, mark byte) {
	if o.class > classPlain {
		v.marks[o.from] |= mark
	}
}

// as takes an operand that is looked at as numbers of shape s.
func (v *validator) as(o operand, s shape) {
	switch s {
	case shapeF32x4:
		v.see(o, markAsF32)
	case shapeF64x2:
		v.see(o, markAsF64)
	case shapeNone:
		v.see(o, markSeen)
	}
}

// typed validates an instruction that has one type.
func (v *validator) typed() {
	o := v.in.op
	switch o.Imm {
	case isa.MemArg, isa.MemArgLane, isa.Memory, isa.MemoryPair, isa.DataMemory:
		if len(v.m.memories) == 0 {
			v.fail("unknown memory 0: %s needs one", o.Name)
		}
	case isa.ConstF32, isa.ConstF64, isa.ConstV128:
		v.result(o.Results[0], constClass(&v.in))
		return
	}
	v.segments()
	if o.Code == opF32Abs || o.Code == opF64Abs {
		v.abs()
		return
	}
	in, out := floating(o.Code)
	for _, t := range slices.Backward(o.Params) {
		v.as(v.take(t), in)
	}
	for _, t := range o.Results {
		v.result(t, out)
	}
}

// abs only clears the sign, and so does canonicalising: the result is as loose
// as the operand.
func (v *validator) abs() {
	t := v.in.op.Params[0]
	o := v.take(t)
	if o.class < classNode {
		v.result(t, o.class)
		return
	}
	n := v.flow.named(v.index)
	v.flow.into(o, n)
	v.result(t, classNode+class(n))
}

// segments checks the segment and table indexes of bulk instructions.
func (v *validator) segments() {
	o, in := v.in.op, &v.in
	switch o.Imm {
	case isa.Data, isa.DataMemory:
		switch {
		case v.m.dataCount == nil:
			v.fail("%s needs a data count section", o.Name)
		case in.a >= *v.m.dataCount:
			v.fail("unknown data segment %d", in.a)
		}
	case isa.Elem, isa.ElemTable:
		if int(in.a) >= len(v.m.elems) {
			v.fail("unknown element segment %d", in.a)
		} else if o.Imm == isa.ElemTable && v.table(in.b) != v.m.elems[in.a].elem {
			v.fail("type mismatch: elements and table %d differ", in.b)
		}
	case isa.TablePair:
		if v.table(in.a) != v.table(in.b) {
			v.fail("type mismatch: tables %d and %d differ", in.a, in.b)
		}
	case isa.Table:
		v.table(in.a)
	}
}

// table returns the element type of table i.
func (v *validator) table(i uint32) isa.ValueType {
	if int(i) >= len(v.m.tables) {
		v.fail("unknown table %d", i)
		return isa.FuncRef
	}
	return v.m.tables[i].elem
}
