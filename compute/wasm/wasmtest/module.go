package wasmtest

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm/isa"
)

// Section numbers of the binary format (section 5.5.2 of the specification).
const (
	secType, secImport, secFunc, secTable, secMemory, secGlobal = 1, 2, 3, 4, 5, 6
	secExport, secStart, secElem, secCode, secData, secCount    = 7, 8, 9, 10, 11, 12
)

// space is one index space: how many there are and their names.
type space struct {
	count uint32
	names map[string]uint32
}

func (s *space) add(name string) uint32 {
	if name != "" {
		if s.names == nil {
			s.names = map[string]uint32{}
		}
		s.names[name] = s.count
	}
	s.count++
	return s.count - 1
}

// section collects the entries of one section.
type section struct {
	count uint32
	body  []byte
}

func (s *section) add(entry []byte) {
	s.count++
	s.body = append(s.body, entry...)
}

// assembler holds what is known of the module so far.
type assembler struct {
	types, funcs, tables, memories, globals, elems, datas space
	signatures                                            map[string]uint32 // encoded function type -> index
	params                                                []int             // of each type, how many parameters
	sections                                              [13]section
	start                                                 []byte
	tail                                                  []byte // sections as they are
	usesData                                              bool   // memory.init or data.drop: needs the data count
}

// Assemble returns the binary of the module in text. Errors name the line.
func Assemble(text string) ([]byte, error) {
	n, err := parse(text)
	if err != nil {
		return nil, err
	}
	if n.head() != "module" {
		return nil, errors.New("the text is not one (module ...)")
	}
	if len(n.list) > 1 && n.list[1].word == "binary" {
		return concat(n.list[2:]), nil
	}
	a := &assembler{signatures: map[string]uint32{}}
	return a.module(n.list[1:])
}

// Module is Assemble for tests: a wrong text fails the test.
func Module(tb testing.TB, text string) []byte {
	tb.Helper()
	code, err := Assemble(text)
	if err != nil {
		tb.Fatalf("assembling: %v", err)
	}
	return code
}

// concat joins the strings among nodes.
func concat(nodes []node) (b []byte) {
	for _, n := range nodes {
		b = append(b, n.text...)
	}
	return b
}

// module works in three passes: explicit types first, so that their indexes are
// as written, then names, because they may be used before they are defined.
func (a *assembler) module(fields []node) ([]byte, error) {
	if len(fields) > 0 && isName(fields[0]) {
		fields = fields[1:]
	}
	for _, pass := range []func(node) error{a.typeField, a.declare, a.define} {
		for _, f := range fields {
			if err := pass(f); err != nil {
				return nil, err
			}
		}
	}
	return a.encode(), nil
}

func (a *assembler) encode() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, id := range []int{secType, secImport, secFunc, secTable, secMemory, secGlobal, secExport, secStart, secElem, secCount, secCode, secData} {
		body := a.body(id)
		if body == nil {
			continue
		}
		out = append(out, byte(id))
		out = isa.AppendU32(out, uint32(len(body)))
		out = append(out, body...)
	}
	return append(out, a.tail...)
}

func (a *assembler) body(id int) []byte {
	switch {
	case id == secStart:
		return a.start
	case id == secCount && a.usesData:
		return isa.AppendU32(nil, a.datas.count)
	case a.sections[id].count == 0:
		return nil
	}
	return append(isa.AppendU32(nil, a.sections[id].count), a.sections[id].body...)
}

// spaceOf returns the index space and the kind byte of a keyword.
func (a *assembler) spaceOf(keyword string) (s *space, kind byte) {
	switch keyword {
	case "func":
		return &a.funcs, 0
	case "table":
		return &a.tables, 1
	case "memory":
		return &a.memories, 2
	case "global":
		return &a.globals, 3
	}
	return nil, 0
}

func isName(n node) bool { return len(n.word) > 1 && n.word[0] == '$' }

// index resolves a name or number.
func index(s *space, n node) (uint32, error) {
	if isName(n) {
		i, ok := s.names[n.word]
		if !ok {
			return 0, n.errorf("unknown name %s", n.word)
		}
		return i, nil
	}
	v, err := integer(n, 32)
	return uint32(v), err
}

func appendName(b, name []byte) []byte {
	return append(isa.AppendU32(b, uint32(len(name))), name...)
}

func appendBits(b []byte, v uint64, size int) []byte {
	return append(b, binary.LittleEndian.AppendUint64(nil, v)[:size]...)
}
