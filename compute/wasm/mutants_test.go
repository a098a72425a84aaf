package wasm_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm/hostiletest"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
)

// maxSeedModule leaves out the modules of the corpus that are large for the sake
// of being large: mutating them tests little and takes long.
const maxSeedModule = 16 << 10

// header is what every module begins with; without it no child sees one.
const header = "\x00asm\x01\x00\x00\x00"

// mutants makes modules that are nearly programs. The same number always gives
// the same task.
type mutants struct {
	seed    uint64
	tasks   []task   // what a mutant is called with
	modules [][]byte // what it is made of, one for each task
}

// newMutants takes the hostile corpus and the golden programs of package convert.
func newMutants(tb testing.TB, seed uint64) *mutants {
	tb.Helper()
	m := &mutants{seed: seed}
	for _, c := range hostiletest.Corpus(tb) {
		var fields task
		if err := json.Unmarshal(c.Data, &fields); err != nil {
			tb.Fatal(err)
		}
		text, _ := fields["module"].(string)
		module, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			tb.Fatal(err)
		}
		if len(module) >= len(header) && len(module) <= maxSeedModule {
			m.tasks, m.modules = append(m.tasks, fields), append(m.modules, module)
		}
	}
	paths, err := filepath.Glob("convert/testdata/programs/*.wat")
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no programs: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		for range 4 { // programs that compute something come as often as those that only harm
			m.tasks, m.modules = append(m.tasks, task{"function": "run", "args": []int{3}}), append(m.modules, wasmtest.Module(tb, string(text)))
		}
	}
	return m
}

// task returns the task with that number: a mutant, and little of everything.
func (m *mutants) task(tb testing.TB, n int) json.RawMessage {
	tb.Helper()
	r := rand.New(rand.NewPCG(m.seed, uint64(n)))
	i := r.IntN(len(m.modules))
	module, of := m.mutate(r, m.modules[i]), m.tasks[i]
	if r.IntN(4) == 0 {
		module, of = opcodes(r), task{}
	}
	return of.with("module", base64.StdEncoding.EncodeToString(module)).
		with("limits", map[string]int64{"fuel": 200_000, "memoryMB": 16, "timeoutMs": 60_000}).data(tb)
}

// mutate changes a copy of a module once, or in a quarter a few times, and leaves its header
// alone but for one in a hundred.
func (m *mutants) mutate(r *rand.Rand, module []byte) []byte {
	head := len(header)
	if r.IntN(100) == 0 {
		head = 0
	}
	body := slices.Clone(module[head:])
	for range 1 + r.IntN(4)/3*r.IntN(4) {
		if len(body) == 0 {
			break
		}
		body = m.change(r, body)
	}
	return append([]byte(header[:head]), body...)
}

// change makes one change to a body that has at least a byte.
func (m *mutants) change(r *rand.Rand, body []byte) []byte {
	at := r.IntN(len(body))
	end := at + 1 + r.IntN(min(16, len(body)-at))
	switch r.IntN(10) {
	default: // a bit, which is where most valid mutants come from
		body[at] ^= 1 << r.IntN(8)
	case 2: // any byte
		body[at] = byte(r.Uint32())
	case 3: // the end is missing
		body = body[:at]
	case 4: // something is missing
		body = slices.Delete(body, at, end)
	case 5: // something is there twice
		body = slices.Insert(body, at, slices.Clone(body[at:end])...)
	case 6: // a piece of another one instead
		other := m.modules[r.IntN(len(m.modules))][len(header):]
		from := r.IntN(len(other) + 1)
		copy(body[at:], other[from:min(len(other), from+end-at)])
	case 7: // goes on as another one
		other := m.modules[r.IntN(len(m.modules))][len(header):]
		body = append(body[:at:at], other[r.IntN(len(other)+1):]...)
	}
	return body
}

// opcodes is a module in order but for the code of its only function.
func opcodes(r *rand.Rand) []byte {
	code := []byte{1, 4, 0x7f} // four locals
	for range 1 + r.IntN(40) {
		code = append(code, opcode(r)...)
	}
	code = append(code, 0x0b)
	out := []byte(header + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x05\x03\x01\x00\x01" + "\x07\x0a\x01\x06_start\x00\x00" + "\x0a")
	code = append(binary.AppendUvarint(nil, uint64(len(code))), code...)
	return append(append(binary.AppendUvarint(out, uint64(len(code)+1)), 1), code...)
}

// opcode is a random one, or one that leaves the stack as it was.
func opcode(r *rand.Rand) []byte {
	b, local := byte(r.Uint32())&0x3f, byte(r.IntN(4))
	switch r.IntN(6) {
	case 0: // one operand becomes one result
		return []byte{0x20, local, 0x67 + b%3, 0x1a}
	case 1: // two operands become one result
		return []byte{0x20, local, 0x41, b, 0x6a + byte(r.IntN(15)), 0x21, byte(r.IntN(4))}
	case 2: // a load, which may be far out
		return []byte{0x20, local, 0x28, 0, b, 0x21, local}
	case 3: // more memory
		return []byte{0x41, b & 3, 0x40, 0, 0x1a}
	case 4: // a loop
		return []byte{0x41, b, 0x21, local, 0x03, 0x40, 0x20, local, 0x41, 1, 0x6b, 0x22, local, 0x0d, 0, 0x0b} // from b down to 0
	}
	if r.IntN(16) > 0 {
		return []byte{0x01}
	}
	return []byte{byte(r.Uint32())}
}
