package convert

import (
	"encoding/binary"

	"github.com/tenzro/tenzro/compute/wasm/isa"
)

// Opcodes that the code names.
const (
	opUnreachable  isa.Opcode = 0x00
	opNop          isa.Opcode = 0x01
	opBlock        isa.Opcode = 0x02
	opLoop         isa.Opcode = 0x03
	opIf           isa.Opcode = 0x04
	opElse         isa.Opcode = 0x05
	opEnd                     = 0x0b
	opBr           isa.Opcode = 0x0c
	opBrIf         isa.Opcode = 0x0d
	opBrTable      isa.Opcode = 0x0e
	opReturn       isa.Opcode = 0x0f
	opCall         isa.Opcode = 0x10
	opCallIndirect isa.Opcode = 0x11
	opDrop         isa.Opcode = 0x1a
	opSelect       isa.Opcode = 0x1b
	opSelectT      isa.Opcode = 0x1c
	opLocalGet     isa.Opcode = 0x20
	opLocalSet     isa.Opcode = 0x21
	opLocalTee     isa.Opcode = 0x22
	opGlobalGet    isa.Opcode = 0x23
	opGlobalSet    isa.Opcode = 0x24
	opTableGet     isa.Opcode = 0x25
	opTableSet     isa.Opcode = 0x26
	opMemoryGrow   isa.Opcode = 0x40
	opF32Abs       isa.Opcode = 0x8b
	opF64Abs       isa.Opcode = 0x99
	opRefNull      isa.Opcode = 0xd0
	opRefIsNull    isa.Opcode = 0xd1
	opRefFunc      isa.Opcode = 0xd2
	opMemoryInit   isa.Opcode = 0xfc08
	opDataDrop     isa.Opcode = 0xfc09
	opMemoryCopy   isa.Opcode = 0xfc0a
	opMemoryFill   isa.Opcode = 0xfc0b
	opTableInit    isa.Opcode = 0xfc0c
	opElemDrop     isa.Opcode = 0xfc0d
	opTableCopy    isa.Opcode = 0xfc0e
	opTableGrow    isa.Opcode = 0xfc0f
	opTableSize    isa.Opcode = 0xfc10
	opTableFill    isa.Opcode = 0xfc11
)

// blockEmpty is the block type without parameters and results.
const blockEmpty = -64

// instr is one decoded instruction. Which fields count depends on op.Imm; labels,
// types and raw are reused or shared with the module and valid until the next
// read.
type instr struct {
	op     *isa.Op
	at     int    // where it begins
	a, b   uint32 // the indexes, alignment and offset, or lane, in their order
	value  int64  // a constant, sign extended, or its bits; a block type
	labels []uint32
	types  []isa.ValueType
	raw    []byte // 16 bytes
}

// read decodes the next instruction. After an error op is not valid.
func (in *instr) read(r *reader) {
	in.at = r.pos
	first, second := r.u8(), uint32(0)
	code := isa.Opcode(first)
	if first == isa.PrefixMisc || first == isa.PrefixVector {
		second = r.u32()
		code = isa.Prefixed(first, uint8(second))
	}
	if r.err != nil {
		return
	}
	if in.op = isa.Lookup(code); in.op == nil || second > 0xff {
		r.unknown(in.at, first, second)
		return
	}
	in.immediates(r)
}

// unknown refuses an opcode and names the proposal it belongs to.
func (r *reader) unknown(at int, first byte, second uint32) {
	feature := ""
	switch {
	case first == 0xfe:
		feature = "threads and atomics"
	case first == 0x12 || first == 0x13:
		feature = "tail calls"
	case first >= 0x06 && first <= 0x0a, first == 0x18, first == 0x19, first == 0x1f:
		feature = "exceptions"
	case first == 0xfb, first == 0xd3:
		feature = "garbage collection"
	case first == 0x14, first == 0x15, first >= 0xd4 && first <= 0xd6:
		feature = "function references"
	case first == isa.PrefixVector && second > 0xff:
		feature = "relaxed SIMD"
	}
	if feature == "" {
		r.failAt(at, unsupportedHint(false, ""), "unknown opcode 0x%02x (0x%x)", first, second)
		return
	}
	r.failAt(at, unsupportedHint(true, feature), "opcode 0x%02x: %s are not supported", first, feature)
}

func (in *instr) immediates(r *reader) {
	switch in.op.Imm {
	case isa.None:
	case isa.Block:
		in.value = r.signed(33)
	case isa.Label, isa.Func, isa.Local, isa.Global, isa.Table, isa.Elem, isa.Data:
		in.a = r.u32()
	case isa.CallIndirect, isa.TablePair, isa.ElemTable:
		in.a, in.b = r.u32(), r.u32()
	case isa.LabelTable:
		in.labelTable(r)
	case isa.DataMemory:
		in.a = r.u32()
		r.zero("memory index")
	case isa.Memory:
		r.zero("memory index")
	case isa.MemoryPair:
		r.zero("memory index")
		r.zero("memory index")
	case isa.RefType:
		in.a = uint32(r.refType())
	case isa.Types:
		in.types = r.valueTypes("select types", maxArity)
	default:
		in.data(r)
	}
}

// data reads constants, lanes and memory arguments.
func (in *instr) data(r *reader) {
	switch in.op.Imm {
	case isa.MemArg, isa.MemArgLane:
		in.a, in.b = r.u32(), r.u32()
		if in.a > uint32(in.op.Align) {
			r.failAt(in.at, "", "alignment must not be larger than natural: 2^%d for %s", in.a, in.op.Name)
		}
		if in.op.Imm == isa.MemArgLane {
			in.lane(r)
		}
	case isa.Lane:
		in.lane(r)
	case isa.Lanes:
		in.raw = r.bytes(16)
		for _, l := range in.raw {
			if l >= 32 {
				r.failAt(in.at, "", "invalid lane index %d", l)
			}
		}
	case isa.ConstI32:
		in.value = r.signed(32)
	case isa.ConstI64:
		in.value = r.signed(64)
	case isa.ConstF32:
		in.value = int64(r.f32())
	case isa.ConstF64:
		in.value = int64(r.f64())
	case isa.ConstV128:
		in.raw = r.bytes(16)
	}
}

func (in *instr) lane(r *reader) {
	in.value = int64(r.u8())
	if in.value >= int64(in.op.Lanes) {
		r.failAt(in.at, "", "invalid lane index %d", in.value)
	}
}

// labelTable reads a br_table; the default label becomes the last.
func (in *instr) labelTable(r *reader) {
	n := r.count("labels", maxLabels)
	in.labels = in.labels[:0]
	for i := 0; i <= n && r.err == nil; i++ {
		in.labels = append(in.labels, r.u32())
	}
}

// append encodes the instruction with the shortest integers.
func (in *instr) append(b []byte) []byte {
	b = in.op.Code.Append(b)
	switch in.op.Imm {
	case isa.None:
	case isa.Block, isa.ConstI32, isa.ConstI64:
		return isa.AppendS64(b, in.value)
	case isa.Label, isa.Func, isa.Local, isa.Global, isa.Table, isa.Elem, isa.Data:
		return isa.AppendU32(b, in.a)
	case isa.CallIndirect, isa.TablePair, isa.ElemTable, isa.MemArg:
		return isa.AppendU32(isa.AppendU32(b, in.a), in.b)
	case isa.MemArgLane:
		return append(isa.AppendU32(isa.AppendU32(b, in.a), in.b), byte(in.value))
	case isa.LabelTable:
		b = isa.AppendU32(b, uint32(len(in.labels)-1))
		for _, l := range in.labels {
			b = isa.AppendU32(b, l)
		}
	case isa.DataMemory:
		return append(isa.AppendU32(b, in.a), 0)
	case isa.Memory:
		return append(b, 0)
	case isa.MemoryPair:
		return append(b, 0, 0)
	case isa.Lane:
		return append(b, byte(in.value))
	case isa.Lanes, isa.ConstV128:
		return append(b, in.raw...)
	case isa.ConstF32:
		return binary.LittleEndian.AppendUint32(b, uint32(in.value))
	case isa.ConstF64:
		return binary.LittleEndian.AppendUint64(b, uint64(in.value))
	case isa.RefType:
		return append(b, byte(in.a))
	case isa.Types:
		b = isa.AppendU32(b, uint32(len(in.types)))
		for _, t := range in.types {
			b = append(b, byte(t))
		}
	}
	return b
}
