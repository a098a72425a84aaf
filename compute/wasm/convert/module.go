package convert

import (
	"github.com/tenzro/tenzro/compute/wasm/isa"
	"github.com/tenzro/tenzro/core"
)

// Limits of what one module may contain. They bound memory where an entry is
// larger in memory than in the file, and time where a loop is nested; toolchains
// stay far below.
const (
	maxTypes     = 1 << 16
	maxArity     = 256 // parameters, and results, of one type
	maxFunctions = 200_000
	maxImports   = 10_000
	maxExports   = 100_000
	maxGlobals   = 100_000
	maxTables    = 100
	maxSegments  = 100_000
	maxElements  = 10_000_000 // of one element segment
	maxLocals    = 50_000     // of one function, parameters included
	maxOperands  = 65_536     // on the operand stack of one function
	maxLabels    = 65_536     // of one br_table
	maxNesting   = 10_000     // blocks in blocks
)

// module is a decoded module. Index spaces have the imported entries first.
type module struct {
	input    []byte
	types    []FuncType
	imports  []importEntry
	funcs    []uint32 // type of each function
	tables   []tableType
	memories []limits
	globals  []globalType
	exports  []exportEntry
	start    *uint32
	elems    []elemSegment
	datas    []dataSegment
	bodies   []body
	inits    []constExpr // of the globals that are not imported

	importedFuncs, importedTables, importedMemories, importedGlobals int
	dataCount                                                        *uint32
	referable                                                        map[uint32]bool // functions that ref.func may name (section 3.4.10)
}

type importEntry struct {
	module, name string
	kind         ExternKind
	index        uint32 // in the index space of its kind
}

type exportEntry struct {
	name  string
	kind  ExternKind
	index uint32
}

// limits has a max of 0 and bounded false if there is no maximum.
type limits struct {
	min, max uint32
	bounded  bool
}

type tableType struct {
	limits
	elem isa.ValueType
}

type globalType struct {
	value   isa.ValueType
	mutable bool
}

// body is the code of a function that the module defines.
type body struct {
	code   []byte
	offset int // in the module
}

// constExpr is a validated constant expression in canonical bytes, its end
// included.
type constExpr []byte

// elemSegment and dataSegment keep the flags of the binary format (sections
// 5.5.12 and 5.5.14).
type elemSegment struct {
	flags  uint32
	table  uint32
	offset constExpr
	elem   isa.ValueType
	funcs  []uint32
	exprs  []constExpr
}

type dataSegment struct {
	flags  uint32
	offset constExpr
	bytes  []byte
}

// funcType returns the type of function i, which must exist.
func (m *module) funcType(i uint32) *FuncType { return &m.types[m.funcs[i]] }

// section numbers of the binary format (section 5.5.2).
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
	secTag // of the exception proposal
)

func sectionName(id byte) string {
	names := [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count"}
	if int(id) < len(names) {
		return names[id] + " section"
	}
	return "section"
}

// order is the position a section must have; the data count stands between the
// elements and the code.
func order(id byte) int {
	switch id {
	case secDataCount:
		return 2 * secElement
	case secElement:
		return 2*secElement - 1
	}
	return 2 * int(id)
}

// decode reads a module and validates everything but the function bodies.
func decode(input []byte) (*module, error) {
	m := &module{input: input, referable: map[uint32]bool{}}
	r := &reader{buf: input, where: "header"}
	if magic := r.bytes(4); r.err == nil && string(magic) != "\x00asm" {
		r.failAt(0, "send the binary format, not text", "this is not a WebAssembly module")
	}
	if version := r.bytes(4); r.err == nil && string(version) != "\x01\x00\x00\x00" {
		r.failAt(4, "components are not supported: send a core module", "unknown version % x", version)
	}
	last := 0
	for r.err == nil && r.left() > 0 {
		last = m.section(r, last)
	}
	if r.err == nil {
		r.where = "module"
		m.complete(r)
	}
	return m, r.err
}

// section reads one section and returns its place in the order.
func (m *module) section(r *reader, last int) int {
	at := r.pos
	r.where = "section header"
	id := r.u8()
	size := int(r.u32())
	if size > r.left() {
		r.failAt(at, "", "section %d has %d bytes, only %d are left", id, size, r.left())
		return last
	}
	s := &reader{base: r.base + r.pos, where: sectionName(id)}
	s.buf = r.bytes(size)
	if r.err != nil {
		return last
	}
	if id != secCustom {
		if id > secDataCount {
			r.failAt(at, unsupportedHint(id == secTag, "exceptions"), "unknown section %d", id)
		} else if order(id) <= last {
			r.failAt(at, "", "%s is out of order or repeated", sectionName(id))
		}
		last = order(id)
	}
	if r.err == nil {
		m.contents(s, id)
		s.end()
		r.err = s.err
	}
	return last
}

func unsupportedHint(known bool, feature string) string {
	if !known {
		return "only WebAssembly 2.0 is supported"
	}
	return "compile without " + feature + ": only WebAssembly 2.0 is supported"
}

func (m *module) contents(s *reader, id byte) {
	switch id {
	case secCustom:
		s.name()
		s.pos = len(s.buf)
	case secType:
		m.typeSection(s)
	case secImport:
		m.importSection(s)
	case secFunction:
		m.functionSection(s)
	case secTable:
		m.tableSection(s)
	case secMemory:
		m.memorySection(s)
	case secGlobal:
		m.globalSection(s)
	case secExport:
		m.exportSection(s)
	case secStart:
		m.startSection(s)
	case secElement:
		m.elementSection(s)
	case secDataCount:
		n := s.u32()
		m.dataCount = &n
	case secCode:
		m.codeSection(s)
	case secData:
		m.dataSection(s)
	}
}

// complete checks what spans sections.
func (m *module) complete(r *reader) {
	switch defined := len(m.funcs) - m.importedFuncs; {
	case len(m.bodies) != defined:
		r.fail("%d functions are declared and %d have code", defined, len(m.bodies))
	case m.dataCount != nil && int(*m.dataCount) != len(m.datas):
		r.fail("the data count is %d and there are %d data segments", *m.dataCount, len(m.datas))
	}
}

// tooMuch is the error for a module over a limit that has no single place.
func tooMuch(hint, format string, args ...any) error {
	return core.Errorf(core.Invalid, "module", format, args...).WithHint(hint)
}
