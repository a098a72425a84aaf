package convert

import "github.com/tenzro/tenzro/compute/wasm/isa"

// appendSection appends a section with its number and size.
func appendSection(b []byte, id byte, contents []byte) []byte {
	b = isa.AppendU32(append(b, id), uint32(len(contents)))
	return append(b, contents...)
}

// appendVector appends a section that is a vector, nothing if that is empty.
func appendVector[T any](b []byte, id byte, entries []T, entry func([]byte, T) []byte) []byte {
	if len(entries) == 0 {
		return b
	}
	contents := isa.AppendU32(nil, uint32(len(entries)))
	for _, e := range entries {
		contents = entry(contents, e)
	}
	return appendSection(b, id, contents)
}

func appendName(b []byte, name string) []byte {
	return append(isa.AppendU32(b, uint32(len(name))), name...)
}

func appendTypes(b []byte, types []isa.ValueType) []byte {
	b = isa.AppendU32(b, uint32(len(types)))
	for _, t := range types {
		b = append(b, byte(t))
	}
	return b
}

func appendFuncType(b []byte, t FuncType) []byte {
	return appendTypes(appendTypes(append(b, 0x60), t.Params), t.Results)
}

func appendLimits(b []byte, l limits) []byte {
	if !l.bounded {
		return isa.AppendU32(append(b, 0), l.min)
	}
	return isa.AppendU32(isa.AppendU32(append(b, 1), l.min), l.max)
}

func appendTable(b []byte, t tableType) []byte {
	return appendLimits(append(b, byte(t.elem)), t.limits)
}

func appendGlobalType(b []byte, g globalType) []byte {
	mutable := byte(0)
	if g.mutable {
		mutable = 1
	}
	return append(b, byte(g.value), mutable)
}

func (m *module) appendImport(b []byte, im importEntry) []byte {
	b = append(appendName(appendName(b, im.module), im.name), byte(im.kind))
	switch im.kind {
	case ExternFunc:
		return isa.AppendU32(b, m.funcs[im.index])
	case ExternTable:
		return appendTable(b, m.tables[im.index])
	case ExternMemory:
		return appendLimits(b, m.memories[im.index])
	}
	return appendGlobalType(b, m.globals[im.index])
}

func appendExport(b []byte, ex exportEntry) []byte {
	return isa.AppendU32(append(appendName(b, ex.name), byte(ex.kind)), ex.index)
}

func appendElem(b []byte, e elemSegment) []byte {
	b = isa.AppendU32(b, e.flags)
	if e.flags&elemPassive == 0 {
		if e.flags&elemExplicit != 0 {
			b = isa.AppendU32(b, e.table)
		}
		b = append(b, e.offset...)
	}
	switch {
	case e.flags&(elemPassive|elemExplicit) == 0:
	case e.flags&elemExprs != 0:
		b = append(b, byte(e.elem))
	default:
		b = append(b, 0)
	}
	if e.flags&elemExprs != 0 {
		b = isa.AppendU32(b, uint32(len(e.exprs)))
		for _, x := range e.exprs {
			b = append(b, x...)
		}
		return b
	}
	b = isa.AppendU32(b, uint32(len(e.funcs)))
	for _, f := range e.funcs {
		b = isa.AppendU32(b, f)
	}
	return b
}

func appendData(b []byte, d dataSegment) []byte {
	b = isa.AppendU32(b, d.flags)
	if d.flags == 2 {
		b = append(b, 0)
	}
	if d.flags != 1 {
		b = append(b, d.offset...)
	}
	return append(isa.AppendU32(b, uint32(len(d.bytes))), d.bytes...)
}
