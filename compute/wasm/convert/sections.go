package convert

import (
	"strings"
)

// typeSection reads function types (section 5.5.4).
func (m *module) typeSection(s *reader) {
	for range s.count("types", maxTypes) {
		if form := s.u8(); form != 0x60 && s.err == nil {
			s.failAt(s.pos-1, unsupportedHint(form >= 0x4e && form <= 0x5f, "garbage collection"), "type form 0x%02x is no function type", form)
		}
		t := FuncType{Params: s.valueTypes("parameters", maxArity), Results: s.valueTypes("results", maxArity)}
		if s.err != nil {
			return
		}
		m.types = append(m.types, t)
	}
}

func (m *module) importSection(s *reader) {
	for range s.count("imports", maxImports) {
		at := s.pos
		e := importEntry{module: s.name(), name: s.name(), kind: ExternKind(s.u8())}
		if strings.HasPrefix(e.name, ReservedPrefix) {
			s.failAt(at, "rename the import", "import %q.%q: names that begin with %q are reserved", e.module, e.name, ReservedPrefix)
		}
		switch e.kind {
		case ExternFunc:
			e.index = m.addFunc(s)
			m.importedFuncs++
		case ExternTable:
			e.index = m.addTable(s)
			m.importedTables++
		case ExternMemory:
			e.index = m.addMemory(s)
			m.importedMemories++
		case ExternGlobal:
			e.index = m.addGlobal(s.globalType())
			m.importedGlobals++
		default:
			s.failAt(s.pos-1, unsupportedHint(e.kind == 4, "exceptions"), "unknown kind of import 0x%02x", byte(e.kind))
		}
		if s.err != nil {
			return
		}
		m.imports = append(m.imports, e)
	}
}

func (m *module) addFunc(s *reader) uint32 {
	at := s.pos
	t := s.u32()
	if s.err == nil && int(t) >= len(m.types) {
		s.failAt(at, "", "unknown type %d", t)
	}
	m.funcs = append(m.funcs, t)
	return uint32(len(m.funcs) - 1)
}

func (m *module) functionSection(s *reader) {
	n := s.count("functions", maxFunctions)
	for i := 0; i < n && s.err == nil; i++ {
		m.addFunc(s)
	}
}

// limits reads a minimum and an optional maximum, both at most bound.
func (s *reader) limits(what string, bound uint64) (l limits) {
	at := s.pos
	flags := s.u8()
	if flags > 1 && s.err == nil {
		s.failAt(at, unsupportedHint(flags < 8, "threads or 64-bit memory"), "%s: unknown limits flags 0x%02x", what, flags)
		return l
	}
	l.min = s.u32()
	if l.bounded = flags == 1; l.bounded {
		l.max = s.u32()
	}
	switch {
	case s.err != nil:
	case uint64(l.min) > bound || uint64(l.max) > bound:
		s.failAt(at, "", "%s size must be at most %d", what, bound)
	case l.bounded && l.min > l.max:
		s.failAt(at, "", "%s: minimum %d is greater than maximum %d", what, l.min, l.max)
	}
	return l
}

func (m *module) addTable(s *reader) uint32 {
	if len(m.tables) == maxTables {
		s.fail("more than %d tables", maxTables)
	}
	elem := s.refType()
	m.tables = append(m.tables, tableType{limits: s.limits("table", 1<<32-1), elem: elem})
	return uint32(len(m.tables) - 1)
}

func (m *module) tableSection(s *reader) {
	n := s.count("tables", maxTables)
	for i := 0; i < n && s.err == nil; i++ {
		m.addTable(s)
	}
}

func (m *module) addMemory(s *reader) uint32 {
	if len(m.memories) == 1 {
		s.failAt(s.pos, unsupportedHint(true, "multiple memories"), "more than one memory")
	}
	m.memories = append(m.memories, s.limits("memory", MaxPages))
	return 0
}

func (m *module) memorySection(s *reader) {
	n := s.count("memories", 1)
	for i := 0; i < n && s.err == nil; i++ {
		m.addMemory(s)
	}
}

func (s *reader) globalType() globalType {
	t := s.valueType()
	mutable := s.u8()
	if mutable > 1 && s.err == nil {
		s.failAt(s.pos-1, "", "unknown mutability 0x%02x", mutable)
	}
	return globalType{value: t, mutable: mutable == 1}
}

func (m *module) addGlobal(t globalType) uint32 {
	m.globals = append(m.globals, t)
	return uint32(len(m.globals) - 1)
}

func (m *module) globalSection(s *reader) {
	n := s.count("globals", maxGlobals)
	for i := 0; i < n && s.err == nil; i++ {
		t := s.globalType()
		m.inits = append(m.inits, m.constant(s, t.value))
		m.addGlobal(t)
	}
}

func (m *module) exportSection(s *reader) {
	n := s.count("exports", maxExports)
	seen := make(map[string]bool, n)
	for i := 0; i < n && s.err == nil; i++ {
		at := s.pos
		e := exportEntry{name: s.name(), kind: ExternKind(s.u8()), index: s.u32()}
		switch {
		case s.err != nil:
			return
		case strings.HasPrefix(e.name, ReservedPrefix):
			s.failAt(at, "rename the export", "export %q: names that begin with %q are reserved", e.name, ReservedPrefix)
		case seen[e.name]:
			s.failAt(at, "", "duplicate export name %q", e.name)
		case e.kind > ExternGlobal:
			s.failAt(at, unsupportedHint(e.kind == 4, "exceptions"), "unknown kind of export 0x%02x", byte(e.kind))
		case int(e.index) >= m.space(e.kind):
			s.failAt(at, "", "export %q: unknown %s %d", e.name, e.kind, e.index)
		}
		seen[e.name] = true
		if e.kind == ExternFunc {
			m.referable[e.index] = true
		}
		m.exports = append(m.exports, e)
	}
}

// space returns the size of an index space.
func (m *module) space(k ExternKind) int {
	switch k {
	case ExternFunc:
		return len(m.funcs)
	case ExternTable:
		return len(m.tables)
	case ExternMemory:
		return len(m.memories)
	}
	return len(m.globals)
}

func (m *module) startSection(s *reader) {
	i := s.u32()
	switch {
	case s.err != nil:
	case int(i) >= len(m.funcs):
		s.failAt(0, "", "unknown function %d", i)
	case len(m.funcType(i).Params)+len(m.funcType(i).Results) > 0:
		s.failAt(0, "", "the start function must take and return nothing")
	}
	m.start = &i
}

// codeSection finds the bodies; they are validated when they are rewritten.
func (m *module) codeSection(s *reader) {
	n := s.count("function bodies", maxFunctions)
	for i := 0; i < n && s.err == nil; i++ {
		code := s.bytes(int(s.u32()))
		m.bodies = append(m.bodies, body{code: code, offset: s.base + s.pos - len(code)})
	}
}
