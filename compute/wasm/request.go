package wasm

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/tenzro/tenzro/core"
)

// maxMessage bounds what node and child say to each other: the bytes of a task,
// and as much again for names and numbers.
const maxMessage = 2 * core.MaxTaskBytes

// request is what a node tells the child: a task, checked.
type request struct {
	Function string            `json:"function"`
	Args     []json.RawMessage `json:"args,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Names    []string          `json:"names,omitempty"` // of the files, sorted
	Fuel     int64             `json:"fuel"`
	MemoryMB int64             `json:"memoryMB"`

	module, stdin []byte
	files         map[string][]byte
}

func newRequest(t *Task) request {
	return request{Function: t.Function, Args: t.Args, Env: t.Env, Names: slices.Sorted(maps.Keys(t.Files)),
		Fuel: t.Limits.Fuel, MemoryMB: t.Limits.MemoryMB, module: t.Module, stdin: t.Stdin, files: t.Files}
}

func (r request) encode() ([]byte, error) {
	blobs := [][]byte{r.module, r.stdin}
	for _, name := range r.Names {
		blobs = append(blobs, r.files[name])
	}
	return pack(r, blobs)
}

func decodeRequest(b []byte) (r request, err error) {
	blobs, err := unpack(b, &r)
	if err == nil && len(blobs) != 2+len(r.Names) {
		err = fmt.Errorf("%d byte strings for %d files", len(blobs), len(r.Names))
	}
	if err != nil {
		return r, err
	}
	r.module, r.stdin, r.files = blobs[0], blobs[1], map[string][]byte{}
	for i, name := range r.Names {
		r.files[name] = blobs[2+i]
	}
	return r, nil
}

// command reports whether the task is a WASI command.
func (r request) command() bool { return r.Function == StartFunction }

// answer is what a child tells the node. It comes from a process that ran a
// stranger's program: nothing in it is believed beyond its own result.
type answer struct {
	Failure  *core.Failure     `json:"failure,omitempty"`
	Field    string            `json:"field,omitempty"` // of an invalid input
	ExitCode uint32            `json:"exitCode"`
	Fuel     int64             `json:"fuel"`
	Values   []json.RawMessage `json:"values,omitempty"`
	Names    []string          `json:"names,omitempty"` // of the files, sorted
	Cached   bool              `json:"cached"`          // what is kept of the module was read or written

	stdout, stderr []byte
	files          map[string][]byte
}

func (a answer) encode() ([]byte, error) {
	a.Names = slices.Sorted(maps.Keys(a.files))
	blobs := [][]byte{a.stdout, a.stderr}
	for _, name := range a.Names {
		blobs = append(blobs, a.files[name])
	}
	return pack(a, blobs)
}

func decodeAnswer(b []byte) (a answer, err error) {
	blobs, err := unpack(b, &a)
	if err == nil && len(blobs) != 2+len(a.Names) {
		err = fmt.Errorf("%d byte strings for %d files", len(blobs), len(a.Names))
	}
	if err != nil {
		return a, err
	}
	a.stdout, a.stderr = blobs[0], blobs[1]
	if len(a.Names) > 0 {
		a.files = map[string][]byte{}
	}
	for i, name := range a.Names {
		a.files[name] = blobs[2+i]
	}
	return a, nil
}

func (a answer) result() Result {
	return Result{Stdout: a.stdout, Stderr: a.stderr, ExitCode: a.ExitCode, Fuel: a.Fuel, Values: a.Values, Files: a.files}
}

// pack writes the length and the bytes of a head in JSON, and then of each blob.
// Lengths are 32 bits, little-endian.
func pack(head any, blobs [][]byte) ([]byte, error) {
	text, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	size := 4 + len(text)
	for _, b := range blobs {
		size += 4 + len(b)
	}
	if size > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes, at most %d are allowed", size, maxMessage)
	}
	out := appendSized(make([]byte, 0, size), text)
	for _, b := range blobs {
		out = appendSized(out, b)
	}
	return out, nil
}

func appendSized(out, b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(b))), b...)
}

// unpack reads what pack wrote; the blobs are parts of b.
func unpack(b []byte, head any) (blobs [][]byte, err error) {
	if len(b) > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes, at most %d are allowed", len(b), maxMessage)
	}
	text, b, ok := takeSized(b)
	if !ok {
		return nil, fmt.Errorf("a message that is cut off")
	}
	if err := json.Unmarshal(text, head); err != nil {
		return nil, fmt.Errorf("a message that cannot be read: %w", err)
	}
	for len(b) > 0 {
		var blob []byte
		if blob, b, ok = takeSized(b); !ok {
			return nil, fmt.Errorf("a message that is cut off")
		}
		blobs = append(blobs, blob)
	}
	return blobs, nil
}

func takeSized(b []byte) (blob, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if b = b[4:]; n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}
