package isa

import "fmt"

// ValueType is a type of a value, by its byte in the binary format (section
// 5.3.4).
type ValueType byte

// The value types.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

// Valid reports whether t is one of the value types.
func (t ValueType) Valid() bool { return t >= V128 && t <= I32 || t.Ref() }

// Ref reports whether t is a reference.
func (t ValueType) Ref() bool { return t == FuncRef || t == ExternRef }

// String returns the keyword of the text format.
func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return fmt.Sprintf("type 0x%02x", byte(t))
}

// Opcode is the number of an instruction: one byte, or a prefix byte and the
// number behind it as in 0xfc0a, memory.copy.
type Opcode uint16

// Prefixes of two-part opcodes.
const (
	PrefixMisc   = 0xfc
	PrefixVector = 0xfd
)

// Prefixed returns the opcode of number n, at most 255, behind a prefix byte.
func Prefixed(prefix byte, n uint8) Opcode { return Opcode(prefix)<<8 | Opcode(n) }

// Append encodes c.
func (c Opcode) Append(b []byte) []byte {
	if c < 0x100 {
		return append(b, byte(c))
	}
	b = append(b, byte(c>>8))
	return AppendU32(b, uint32(c&0xff))
}

// Immediate is the kind of operands that stand in the code behind an opcode.
type Immediate uint8

// The kinds of immediates, in the order of their parts.
const (
	None         Immediate = iota
	Block                  // block type: s33
	Label                  // u32
	LabelTable             // vector of u32, then u32
	Func                   // u32
	CallIndirect           // type u32, table u32
	Local                  // u32
	Global                 // u32
	Table                  // u32
	TablePair              // destination u32, source u32
	ElemTable              // element segment u32, table u32
	Elem                   // element segment u32
	Data                   // data segment u32
	DataMemory             // data segment u32, a zero byte
	Memory                 // a zero byte
	MemoryPair             // two zero bytes
	MemArg                 // alignment u32, offset u32
	MemArgLane             // alignment u32, offset u32, lane byte
	Lane                   // byte
	Lanes                  // 16 bytes, each below 32
	ConstI32               // s32
	ConstI64               // s64
	ConstF32               // 4 bytes
	ConstF64               // 8 bytes
	ConstV128              // 16 bytes
	RefType                // byte
	Types                  // vector of value types
)

// Op is one instruction. Params and Results are its type; both are nil for the
// instructions whose type depends on where they stand (Special).
type Op struct {
	Code            Opcode
	Name            string // of the text format
	Imm             Immediate
	Special         bool
	Align           uint8 // MemArg and MemArgLane: log2 of the natural alignment
	Lanes           uint8 // Lane and MemArgLane: how many lanes there are
	Params, Results []ValueType
}

// Lookup returns the instruction with the given opcode, nil if WebAssembly 2.0
// has none. Nobody changes what it returns.
func Lookup(c Opcode) *Op {
	switch {
	case c < 0x100:
		return table.plain[c]
	case c>>8 == PrefixMisc:
		return table.misc[c&0xff]
	case c>>8 == PrefixVector:
		return table.vector[c&0xff]
	}
	return nil
}

// Named returns the instruction with the given name, nil if there is none.
func Named(name string) *Op { return table.byName[name] }

// AppendU32 appends v as unsigned LEB128 (section 5.2.2).
func AppendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// AppendS64 appends v as signed LEB128; the encoding of an s32 or s33 is the
// same as that of the s64 with its value.
func AppendS64(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
