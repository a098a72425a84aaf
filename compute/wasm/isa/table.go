package isa

import "strings"

// opTable finds instructions by opcode and by name.
type opTable struct {
	plain, misc, vector [256]*Op
	byName              map[string]*Op
}

//archtest:constant
var table = newTable()

func newTable() *opTable {
	t := &opTable{byName: map[string]*Op{}}
	for _, r := range runs() {
		for i, name := range strings.Fields(r.names) {
			if name != "-" {
				t.add(r.op(Opcode(i), name))
			}
		}
	}
	return t
}

func (t *opTable) add(o *Op) {
	t.byName[o.Name] = o
	switch o.Code >> 8 {
	case PrefixMisc:
		t.misc[o.Code&0xff] = o
	case PrefixVector:
		t.vector[o.Code&0xff] = o
	default:
		t.plain[o.Code] = o
	}
}

// run is a row of instructions with consecutive opcodes and one type. names has
// "-" where an opcode is not assigned. A dot in front of a name repeats the part
// before the dot of shape.
type run struct {
	first Opcode
	sig   string // letters of the parameters, ':', letters of the results; "" if special
	imm   Immediate
	param uint8 // Align or Lanes, by imm; for MemArgLane both follow from it
	shape string
	names string
}

func (r run) op(i Opcode, name string) *Op {
	if strings.HasPrefix(name, ".") {
		name = r.shape + name
	}
	o := &Op{Code: r.first + i, Name: name, Imm: r.imm, Special: r.sig == ""}
	switch r.imm {
	case MemArg:
		o.Align = r.param
	case Lane:
		o.Lanes = r.param
	case MemArgLane:
		o.Align, o.Lanes = r.param, 16>>r.param
	}
	params, results, _ := strings.Cut(r.sig, ":")
	o.Params, o.Results = valueTypes(params), valueTypes(results)
	return o
}

func valueTypes(letters string) (types []ValueType) {
	for _, c := range letters {
		types = append(types, valueType(c))
	}
	return types
}

func valueType(letter rune) ValueType {
	switch letter {
	case 'i':
		return I32
	case 'l':
		return I64
	case 'f':
		return F32
	case 'd':
		return F64
	}
	return V128
}

func runs() []run {
	all := append(controlRuns(), memoryRuns()...)
	all = append(all, numericRuns()...)
	all = append(all, miscRuns()...)
	all = append(all, vectorMemoryRuns()...)
	return append(all, vectorRuns()...)
}

func controlRuns() []run {
	return []run{
		{0x00, "", None, 0, "", "unreachable nop"},
		{0x02, "", Block, 0, "", "block loop if"},
		{0x05, "", None, 0, "", "else"},
		{0x0b, "", None, 0, "", "end"},
		{0x0c, "", Label, 0, "", "br br_if"},
		{0x0e, "", LabelTable, 0, "", "br_table"},
		{0x0f, "", None, 0, "", "return"},
		{0x10, "", Func, 0, "", "call"},
		{0x11, "", CallIndirect, 0, "", "call_indirect"},
		{0x1a, "", None, 0, "", "drop select"},
		{0x1c, "", Types, 0, "", "select_t"},
		{0x20, "", Local, 0, "", "local.get local.set local.tee"},
		{0x23, "", Global, 0, "", "global.get global.set"},
		{0x25, "", Table, 0, "", "table.get table.set"},
		{0xd0, "", RefType, 0, "", "ref.null"},
		{0xd1, "", None, 0, "", "ref.is_null"},
		{0xd2, "", Func, 0, "", "ref.func"},
	}
}

func memoryRuns() []run {
	return []run{
		{0x28, "i:i", MemArg, 2, "", "i32.load"},
		{0x29, "i:l", MemArg, 3, "", "i64.load"},
		{0x2a, "i:f", MemArg, 2, "", "f32.load"},
		{0x2b, "i:d", MemArg, 3, "", "f64.load"},
		{0x2c, "i:i", MemArg, 0, "", "i32.load8_s i32.load8_u"},
		{0x2e, "i:i", MemArg, 1, "", "i32.load16_s i32.load16_u"},
		{0x30, "i:l", MemArg, 0, "", "i64.load8_s i64.load8_u"},
		{0x32, "i:l", MemArg, 1, "", "i64.load16_s i64.load16_u"},
		{0x34, "i:l", MemArg, 2, "", "i64.load32_s i64.load32_u"},
		{0x36, "ii:", MemArg, 2, "", "i32.store"},
		{0x37, "il:", MemArg, 3, "", "i64.store"},
		{0x38, "if:", MemArg, 2, "", "f32.store"},
		{0x39, "id:", MemArg, 3, "", "f64.store"},
		{0x3a, "ii:", MemArg, 0, "", "i32.store8"},
		{0x3b, "ii:", MemArg, 1, "", "i32.store16"},
		{0x3c, "il:", MemArg, 0, "", "i64.store8"},
		{0x3d, "il:", MemArg, 1, "", "i64.store16"},
		{0x3e, "il:", MemArg, 2, "", "i64.store32"},
		{0x3f, ":i", Memory, 0, "", "memory.size"},
		{0x40, "i:i", Memory, 0, "", "memory.grow"},
		{0x41, ":i", ConstI32, 0, "", "i32.const"},
		{0x42, ":l", ConstI64, 0, "", "i64.const"},
		{0x43, ":f", ConstF32, 0, "", "f32.const"},
		{0x44, ":d", ConstF64, 0, "", "f64.const"},
	}
}

func numericRuns() []run {
	const ints = ".eq .ne .lt_s .lt_u .gt_s .gt_u .le_s .le_u .ge_s .ge_u"
	const floats = ".eq .ne .lt .gt .le .ge"
	const bits = ".add .sub .mul .div_s .div_u .rem_s .rem_u .and .or .xor .shl .shr_s .shr_u .rotl .rotr"
	return []run{
		{0x45, "i:i", None, 0, "i32", ".eqz"},
		{0x46, "ii:i", None, 0, "i32", ints},
		{0x50, "l:i", None, 0, "i64", ".eqz"},
		{0x51, "ll:i", None, 0, "i64", ints},
		{0x5b, "ff:i", None, 0, "f32", floats},
		{0x61, "dd:i", None, 0, "f64", floats},
		{0x67, "i:i", None, 0, "i32", ".clz .ctz .popcnt"},
		{0x6a, "ii:i", None, 0, "i32", bits},
		{0x79, "l:l", None, 0, "i64", ".clz .ctz .popcnt"},
		{0x7c, "ll:l", None, 0, "i64", bits},
		{0x8b, "f:f", None, 0, "f32", ".abs .neg .ceil .floor .trunc .nearest .sqrt"},
		{0x92, "ff:f", None, 0, "f32", ".add .sub .mul .div .min .max .copysign"},
		{0x99, "d:d", None, 0, "f64", ".abs .neg .ceil .floor .trunc .nearest .sqrt"},
		{0xa0, "dd:d", None, 0, "f64", ".add .sub .mul .div .min .max .copysign"},
		{0xa7, "l:i", None, 0, "i32", ".wrap_i64"},
		{0xa8, "f:i", None, 0, "i32", ".trunc_f32_s .trunc_f32_u"},
		{0xaa, "d:i", None, 0, "i32", ".trunc_f64_s .trunc_f64_u"},
		{0xac, "i:l", None, 0, "i64", ".extend_i32_s .extend_i32_u"},
		{0xae, "f:l", None, 0, "i64", ".trunc_f32_s .trunc_f32_u"},
		{0xb0, "d:l", None, 0, "i64", ".trunc_f64_s .trunc_f64_u"},
		{0xb2, "i:f", None, 0, "f32", ".convert_i32_s .convert_i32_u"},
		{0xb4, "l:f", None, 0, "f32", ".convert_i64_s .convert_i64_u"},
		{0xb6, "d:f", None, 0, "f32", ".demote_f64"},
		{0xb7, "i:d", None, 0, "f64", ".convert_i32_s .convert_i32_u"},
		{0xb9, "l:d", None, 0, "f64", ".convert_i64_s .convert_i64_u"},
		{0xbb, "f:d", None, 0, "f64", ".promote_f32"},
		{0xbc, "f:i", None, 0, "i32", ".reinterpret_f32"},
		{0xbd, "d:l", None, 0, "i64", ".reinterpret_f64"},
		{0xbe, "i:f", None, 0, "f32", ".reinterpret_i32"},
		{0xbf, "l:d", None, 0, "f64", ".reinterpret_i64"},
		{0xc0, "i:i", None, 0, "i32", ".extend8_s .extend16_s"},
		{0xc2, "l:l", None, 0, "i64", ".extend8_s .extend16_s .extend32_s"},
	}
}

func miscRuns() []run {
	return []run{
		{0xfc00, "f:i", None, 0, "i32", ".trunc_sat_f32_s .trunc_sat_f32_u"},
		{0xfc02, "d:i", None, 0, "i32", ".trunc_sat_f64_s .trunc_sat_f64_u"},
		{0xfc04, "f:l", None, 0, "i64", ".trunc_sat_f32_s .trunc_sat_f32_u"},
		{0xfc06, "d:l", None, 0, "i64", ".trunc_sat_f64_s .trunc_sat_f64_u"},
		{0xfc08, "iii:", DataMemory, 0, "", "memory.init"},
		{0xfc09, ":", Data, 0, "", "data.drop"},
		{0xfc0a, "iii:", MemoryPair, 0, "", "memory.copy"},
		{0xfc0b, "iii:", Memory, 0, "", "memory.fill"},
		{0xfc0c, "iii:", ElemTable, 0, "", "table.init"},
		{0xfc0d, ":", Elem, 0, "", "elem.drop"},
		{0xfc0e, "iii:", TablePair, 0, "", "table.copy"},
		{0xfc0f, "", Table, 0, "", "table.grow"},
		{0xfc10, ":i", Table, 0, "", "table.size"},
		{0xfc11, "", Table, 0, "", "table.fill"},
	}
}
