package convert

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/tenzro/tenzro/compute/wasm/isa"
)

// rewrite validates the functions of m and encodes the converted module.
func rewrite(m *module, o Options) (Converted, error) {
	if err := m.cap(o); err != nil {
		return Converted{}, err
	}
	v := newValidator(m)
	e := newEmitter(v, o)
	instructions := 0
	for i := range m.bodies {
		if err := e.body(i); err != nil {
			return Converted{}, err
		}
		instructions += len(v.marks)
	}
	code := e.module()
	if len(code) > MaxOutput {
		return Converted{}, outputTooLarge(len(code))
	}
	info := m.info()
	info.Output = sha256.Sum256(code)
	info.Instructions = instructions
	return Converted{Code: code, Info: info}, nil
}

func outputTooLarge(n int) error {
	return tooMuch("split the module", "the converted module has %d bytes or more, at most %d are allowed", n, MaxOutput)
}

// body validates and rewrites function i of those the module defines.
func (e *emitter) body(i int) error {
	m := e.v.m
	b := m.bodies[i]
	r := &reader{buf: b.code, base: b.offset, where: fmt.Sprintf("code section, function %d", m.importedFuncs+i)}
	e.v.function(m.funcType(uint32(m.importedFuncs+i)), r)
	if r.err != nil {
		return r.err
	}
	again := &reader{buf: b.code, base: b.offset}
	again.skipLocals()
	if e.function(again); again.err != nil {
		return again.err
	}
	if len(e.out) > MaxOutput {
		return outputTooLarge(len(e.out))
	}
	return nil
}

func (r *reader) skipLocals() {
	for range r.u32() {
		r.u32()
		r.u8()
	}
}

// cap lowers the maxima of memory and tables to what o allows. What is imported
// stays: it has the limits of who exports it.
func (m *module) cap(o Options) error {
	for i := m.importedMemories; i < len(m.memories); i++ {
		if !m.memories[i].cap(o.MaxPages) {
			return tooMuch("ask for more memory, or need less", "memory section: the memory begins with %d pages of 64 KiB, at most %d are allowed", m.memories[i].min, o.MaxPages)
		}
	}
	defined := len(m.tables) - m.importedTables
	for i := m.importedTables; i < len(m.tables); i++ {
		if share := o.MaxTableElements / uint32(defined); !m.tables[i].cap(share) {
			return tooMuch("use smaller tables", "table section: table %d begins with %d elements, at most %d are allowed", i, m.tables[i].min, share)
		}
	}
	return nil
}

// cap reports false if the minimum is over the bound.
func (l *limits) cap(bound uint32) bool {
	if !l.bounded || l.max > bound {
		l.max, l.bounded = bound, true
	}
	return l.min <= bound
}

func (m *module) info() Info {
	info := Info{Version: Version, Input: sha256.Sum256(m.input), Start: m.start != nil, Functions: len(m.bodies)}
	for _, im := range m.imports {
		info.Imports = append(info.Imports, Import{Module: im.module, Name: im.name, Kind: im.kind, Func: m.signature(im.kind, im.index)})
	}
	for _, ex := range m.exports {
		info.Exports = append(info.Exports, Export{Name: ex.name, Kind: ex.kind, Func: m.signature(ex.kind, ex.index)})
	}
	if len(m.memories) > 0 {
		l := m.memories[0]
		if !l.bounded {
			l.max = MaxPages
		}
		info.Memory = &Limits{Min: l.min, Max: l.max}
	}
	return info
}

// signature copies the type of function i, nil for other kinds.
func (m *module) signature(k ExternKind, i uint32) *FuncType {
	if k != ExternFunc {
		return nil
	}
	t := m.funcType(i)
	return &FuncType{Params: slices.Clone(t.Params), Results: slices.Clone(t.Results)}
}

// module encodes everything in the order of the sections.
func (e *emitter) module() []byte {
	m := e.v.m
	out := []byte("\x00asm\x01\x00\x00\x00")
	out = appendVector(out, secType, slices.Concat(m.types, e.added), appendFuncType)
	out = appendVector(out, secImport, m.imports, m.appendImport)
	out = appendVector(out, secFunction, m.funcs[m.importedFuncs:], isa.AppendU32)
	out = appendVector(out, secTable, m.tables[m.importedTables:], appendTable)
	out = appendVector(out, secMemory, m.memories[m.importedMemories:], appendLimits)
	out = appendVector(out, secGlobal, e.globals(), func(b, g []byte) []byte { return append(b, g...) })
	out = appendVector(out, secExport, e.exports(), appendExport)
	out = appendVector(out, secElement, m.elems, appendElem)
	if m.dataCount != nil {
		out = appendSection(out, secDataCount, isa.AppendU32(nil, *m.dataCount))
	}
	if n := len(m.bodies); n > 0 {
		count := isa.AppendU32(nil, uint32(n))
		out = append(out, secCode)
		out = isa.AppendU32(out, uint32(len(count)+len(e.out)))
		out = append(append(out, count...), e.out...)
	}
	return appendVector(out, secData, m.datas, appendData)
}

// globals encodes the module's globals and behind them the two of ours.
func (e *emitter) globals() [][]byte {
	m := e.v.m
	var all [][]byte
	for i, g := range m.globals[m.importedGlobals:] {
		all = append(all, append(appendGlobalType(nil, g), m.inits[i]...))
	}
	counter := globalType{value: isa.I64, mutable: true}
	for _, v := range []int64{0, StackBudget} {
		b := append(appendGlobalType(nil, counter), 0x42)
		all = append(all, append(isa.AppendS64(b, v), opEnd))
	}
	return all
}

// exports adds the reserved exports.
func (e *emitter) exports() []exportEntry {
	all := append(slices.Clone(e.v.m.exports),
		exportEntry{FuelExport, ExternGlobal, e.fuel}, exportEntry{StackExport, ExternGlobal, e.stack})
	if s := e.v.m.start; s != nil {
		all = append(all, exportEntry{StartExport, ExternFunc, *s})
	}
	return all
}
