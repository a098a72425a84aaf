package convert

import (
	"encoding/binary"

	"github.com/tenzro/tenzro/compute/wasm/isa"
)

// emitter writes the bodies of functions anew. It follows what the validator has
// found out about the body it has just checked.
type emitter struct {
	v       *validator
	o       Options
	fuel    uint32            // index of the global FuelExport
	stack   uint32            // index of the global StackExport
	results map[string]uint32 // types without parameters, by their results
	added   []FuncType        // types that only blocks of ours use

	code    []byte // of the current function, without its locals
	out     []byte // all functions, each with its size
	in      instr
	temps   [5]temp
	locals  uint32
	depth   uint32 // open blocks of the original
	framed  bool   // the current function is weighed
	pending int    // the next segment to charge
}

// temp is a local of ours; at is its index + 1, 0 while it is not needed.
type temp struct {
	t  isa.ValueType
	at uint32
}

// Kinds of temps: a length, and a value of each shape.
const tempLength = 0

func newTemps() [5]temp {
	return [5]temp{tempLength: {t: isa.I32}, shapeF32: {t: isa.F32}, shapeF64: {t: isa.F64}, shapeF32x4: {t: isa.V128}, shapeF64x2: {t: isa.V128}}
}

func newEmitter(v *validator, o Options) *emitter {
	e := &emitter{v: v, o: o, fuel: uint32(len(v.m.globals)), results: map[string]uint32{}}
	e.stack = e.fuel + 1
	for i, t := range v.m.types {
		if key := typesKey(t.Results); len(t.Params) == 0 {
			if _, ok := e.results[key]; !ok {
				e.results[key] = uint32(i)
			}
		}
	}
	return e
}

func typesKey(types []isa.ValueType) string {
	b := make([]byte, len(types))
	for i, t := range types {
		b[i] = byte(t)
	}
	return string(b)
}

// function appends the body that the validator has just accepted. r stands where
// the instructions begin.
func (e *emitter) function(r *reader) {
	e.code, e.temps, e.depth, e.pending = e.code[:0], newTemps(), 0, 0
	e.locals = uint32(len(e.v.locals))
	slots := e.v.slots()
	e.framed = !e.o.NoStack && (e.v.facts.calls || slots > leafSlots)
	if e.o.exact {
		e.v.charges = append(e.v.charges[:0], segment{cost: costEntry + uint64(len(e.v.locals))})
	}
	if e.framed {
		e.enter(weight(slots))
	}
	for i := range e.v.marks {
		e.in.read(r)
		if e.v.marks[i]&markDead == 0 {
			e.instruction(int32(i))
		}
	}
	if e.framed {
		e.leave(weight(slots))
	}
	e.finish()
}

// slots bounds how many values a compiler can have to keep in a frame at once or
// in slots of their own: locals, operands, every result, and every value that
// paths which meet may disagree on, fuel and globals of the module included.
func (v *validator) slots() int {
	f := &v.facts
	globals := len(f.globalUses) + 2
	n := len(v.locals) + f.maxHeight + f.values + 2*f.merges + globals*(f.callSites+f.blocks) + 4*len(v.charges)
	if f.vectors {
		n *= 2
	}
	return n
}

func (e *emitter) instruction(i int32) {
	e.segment(i)
	if e.o.exact {
		e.charge(cost(e.in.op))
	}
	switch c := e.in.op.Code; c {
	case opBlock, opLoop, opIf:
		e.depth++
	case opEnd:
		if e.depth == 0 {
			if !e.framed {
				e.code = append(e.code, opEnd)
			}
			return
		}
		e.depth--
	case opReturn:
		if e.framed {
			e.op(opBr, e.depth)
			return
		}
	default:
		e.length(c)
	}
	e.code = e.in.append(e.code)
	e.nan(i)
}

// segment charges for what begins at instruction i.
func (e *emitter) segment(i int32) {
	for e.pending < len(e.v.charges) && e.v.charges[e.pending].at <= i {
		s := &e.v.charges[e.pending]
		if e.pending++; i > 0 || !e.framed {
			e.charge(s.cost + s.joined)
		}
	}
}

// enter begins a weighed function: it pays for the first block and the frame
// with one check, and opens the block that every way out leads to the end of.
func (e *emitter) enter(w int64) {
	first := &e.v.charges[0]
	charged := !e.o.NoFuel && first.cost+first.joined > 0
	if charged {
		e.subtract(e.fuel, int64(first.cost+first.joined))
	}
	e.subtract(e.stack, w)
	e.op(opGlobalGet, e.stack)
	if charged {
		e.op(opGlobalGet, e.fuel)
		e.code = append(e.code, 0x84) // i64.or: negative if either is
	}
	e.trapNegative()
	e.code = append(e.code, byte(opBlock))
	e.code = e.blockType(e.code)
}

func (e *emitter) leave(w int64) {
	e.code = append(e.code, opEnd)
	e.op(opGlobalGet, e.stack)
	e.i64(w)
	e.code = append(e.code, 0x7c) // i64.add
	e.op(opGlobalSet, e.stack)
	e.code = append(e.code, opEnd)
}

// blockType appends the type of a block with the function's results.
func (e *emitter) blockType(b []byte) []byte {
	types := e.v.typ.Results
	switch len(types) {
	case 0:
		return isa.AppendS64(b, blockEmpty)
	case 1:
		return append(b, byte(types[0]))
	}
	i, ok := e.results[typesKey(types)]
	if !ok {
		i = uint32(len(e.v.m.types) + len(e.added))
		e.added = append(e.added, FuncType{Results: types})
		e.results[typesKey(types)] = i
	}
	return isa.AppendS64(b, int64(i))
}

func (e *emitter) op(c isa.Opcode, index uint32) {
	e.code = isa.AppendU32(c.Append(e.code), index)
}

func (e *emitter) i64(v int64) {
	e.code = isa.AppendS64(append(e.code, 0x42), v)
}

func (e *emitter) subtract(global uint32, v int64) {
	e.op(opGlobalGet, global)
	e.i64(v)
	e.code = append(e.code, 0x7d) // i64.sub
	e.op(opGlobalSet, global)
}

// trapNegative traps if the i64 on top is negative.
func (e *emitter) trapNegative() {
	e.i64(0)
	e.code = append(e.code, 0x53, byte(opIf), 0x40, byte(opUnreachable), opEnd) // i64.lt_s
}

func (e *emitter) charge(cost uint64) {
	if cost == 0 || e.o.NoFuel {
		return
	}
	e.subtract(e.fuel, int64(cost))
	e.op(opGlobalGet, e.fuel)
	e.trapNegative()
}

// length charges for the length on top of the stack of a bulk operation, and
// leaves it there.
func (e *emitter) length(c isa.Opcode) {
	if e.o.NoFuel {
		return
	}
	switch c {
	case opMemoryGrow:
		e.chargeLength(pageCost, 0x7e) // i64.mul
	case opMemoryFill, opMemoryCopy, opMemoryInit:
		e.chargeLength(bytesShift, 0x88) // i64.shr_u
	case opTableGrow:
		e.chargeLength(tableGrowCost, 0x7e)
	case opTableInit, opTableCopy, opTableFill:
		e.chargeLength(1, 0x7e)
	}
}

func (e *emitter) chargeLength(by int64, operation byte) {
	n := e.temp(tempLength)
	e.op(opLocalTee, n)
	e.op(opGlobalGet, e.fuel)
	e.op(opLocalGet, n)
	e.code = append(e.code, 0xad) // i64.extend_i32_u
	e.i64(by)
	e.code = append(e.code, operation, 0x7d) // i64.sub
	e.op(opGlobalSet, e.fuel)
	e.op(opGlobalGet, e.fuel)
	e.trapNegative()
}

// temp returns the index of a local of ours.
func (e *emitter) temp(kind int) uint32 {
	t := &e.temps[kind]
	if t.at == 0 {
		e.locals++
		t.at = e.locals
	}
	return t.at - 1
}

// nan canonicalises the result of instruction i if somebody sees its bits.
func (e *emitter) nan(i int32) {
	marks := e.v.marks[i]
	if marks == 0 || e.o.NoNaN {
		return
	}
	switch s := canonical(e.shape(i), marks); s {
	case shapeF32:
		e.canonicalScalar(s, binary.LittleEndian.AppendUint32([]byte{0x43}, nan32), 0x60) // f32.ge
	case shapeF64:
		e.canonicalScalar(s, binary.LittleEndian.AppendUint64([]byte{0x44}, nan64), 0x66)
	case shapeF32x4:
		lane := binary.LittleEndian.AppendUint32(nil, nan32)
		e.canonicalVector(s, append(append(lane, lane...), append(lane, lane...)...), 0xfd41) // f32x4.eq
	case shapeF64x2:
		lane := binary.LittleEndian.AppendUint64(nil, nan64)
		e.canonicalVector(s, append(lane, lane...), 0xfd47)
	}
}

// shape returns the shape of the loose result of instruction i.
func (e *emitter) shape(i int32) shape {
	switch n, ok := e.v.flow.nodeOf[i]; {
	case ok:
		return e.v.flow.nodes[n]
	case e.in.op.Code == opLocalGet:
		return e.v.flow.nodes[e.in.a]
	case e.in.op.Code == opF32Abs:
		return shapeF32
	case e.in.op.Code == opF64Abs:
		return shapeF64
	}
	if _, out := floating(e.in.op.Code); out > classShape {
		return shape(out - classShape)
	}
	return shapeNone
}

// canonicalScalar is "x >= x ? x : nan": only a NaN is not equal to itself, and
// ge needs one flag of the processor where eq needs two.
func (e *emitter) canonicalScalar(s shape, constant []byte, ge byte) {
	x := e.temp(int(s))
	e.op(opLocalTee, x)
	e.code = append(e.code, constant...)
	e.op(opLocalGet, x)
	e.op(opLocalGet, x)
	e.code = append(e.code, ge, byte(opSelect))
}

// canonicalVector chooses lane by lane as well, but only if a lane is a NaN: a
// branch that is rarely taken costs less than three operations on vectors.
func (e *emitter) canonicalVector(s shape, constant []byte, eq isa.Opcode) {
	x := e.temp(int(s))
	e.op(opLocalTee, x)
	e.op(opLocalGet, x)
	e.code = (eq + 1).Append(e.code)                      // ne
	e.code = append(e.code, 0xfd, 0x53, byte(opIf), 0x40) // v128.any_true
	e.op(opLocalGet, x)
	e.code = append(append(e.code, 0xfd, 0x0c), constant...) // v128.const
	e.op(opLocalGet, x)
	e.op(opLocalGet, x)
	e.code = eq.Append(e.code)
	e.code = append(e.code, 0xfd, 0x52) // v128.bitselect
	e.op(opLocalSet, x)
	e.code = append(e.code, opEnd)
	e.op(opLocalGet, x)
}

// finish puts the locals in front of the code and the size in front of both.
func (e *emitter) finish() {
	header := e.declaration()
	e.out = isa.AppendU32(e.out, uint32(len(header)+len(e.code)))
	e.out = append(append(e.out, header...), e.code...)
}

// declaration encodes the locals behind the parameters, equal neighbours
// together, and then ours in the order of their indexes.
func (e *emitter) declaration() []byte {
	types := make([]isa.ValueType, e.locals)
	copy(types, e.v.locals)
	for _, t := range e.temps {
		if t.at > 0 {
			types[t.at-1] = t.t
		}
	}
	types = types[len(e.v.typ.Params):]
	var groups []byte
	count := uint32(0)
	for len(types) > 0 {
		n := 1
		for n < len(types) && types[n] == types[0] {
			n++
		}
		groups = append(isa.AppendU32(groups, uint32(n)), byte(types[0]))
		types = types[n:]
		count++
	}
	return append(isa.AppendU32(nil, count), groups...)
}
