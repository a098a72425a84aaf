package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// TestGoldenOutput: the question and both answers have one form.
func TestGoldenOutput(t *testing.T) {
	q, err := appendBody(nil, &JobQuery{ID: 9, TaskID: sampleTask, Op: QueryOutput, Output: sampleFrom()}, MaxBody)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "output/query.json", q)
	for name, v := range map[string]any{"state": sampleOutputState(), "part": sampleOutputPart()} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "output/"+name+".json", text)
	}
	page, err := os.ReadFile("../docs/spec/job.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"query", "state", "part"} {
		text, err := os.ReadFile("testdata/output/" + name + ".json")
		if err != nil || !bytes.Contains(page, text) {
			t.Errorf("the specification does not show %s, %v", text, err)
		}
	}
	text, _ := json.Marshal(sampleOutputState())
	if back, err := DecodeOutputState(text, sampleTask); err != nil || !reflect.DeepEqual(back, sampleOutputState()) {
		t.Errorf("%+v, %v", back, err)
	}
	text, _ = json.Marshal(sampleOutputPart())
	if back, err := DecodeOutputPart(text, *sampleFrom()); err != nil || !reflect.DeepEqual(back, sampleOutputPart()) {
		t.Errorf("%+v, %v", back, err)
	}
}

func sampleFrom() *core.OutputFrom {
	return &core.OutputFrom{Subtask: 3, Run: 7, Stdout: 10, Stderr: 0}
}

func sampleOutputState() core.OutputState {
	return core.OutputState{TaskID: sampleTask, Type: "wasm", Status: core.TaskRunning, Subtasks: 4, Running: []int{1, 3}, Writes: true}
}

func sampleOutputPart() core.OutputPart {
	return core.OutputPart{Run: 7, Attempt: 1, Pieces: []core.OutputPiece{{Stream: core.Stdout, Offset: 10, Data: []byte("half done\n")},
		{Stream: core.Stderr, Offset: 4096, Data: []byte("late\n")}}}
}

// TestOutputAnswers: what a region or a worker may say of output.
func TestOutputAnswers(t *testing.T) {
	part := func(run string, pieces ...string) string {
		return `{"run":"` + run + `","attempt":1,"pieces":[` + strings.Join(pieces, ",") + `],"over":false}`
	}
	piece := func(stream string, offset int64, n int) string {
		return fmt.Sprintf(`{"stream":%q,"offset":"%d","data":%q}`, stream, offset, base64.StdEncoding.EncodeToString(make([]byte, n)))
	}
	state := func(subtasks, running string) string {
		return `{"taskId":"` + string(sampleTask) + `","type":"wasm","status":"running","subtasks":` + subtasks + `,"running":[` + running + `],"writes":true}`
	}
	decodePart := func(b json.RawMessage) error { _, err := DecodeOutputPart(b, *sampleFrom()); return err }
	decodeState := func(b json.RawMessage) error { _, err := DecodeOutputState(b, sampleTask); return err }
	many := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprint(i))
		}
		return strings.Join(all, ",")
	}
	var small []string
	for i := range int64(MaxOutputPieces + 1) {
		small = append(small, piece("stderr", i, 1))
	}
	for _, tt := range []struct {
		name   string
		decode func(json.RawMessage) error
		text   string
		ok     bool
	}{
		{"nothing yet", decodePart, part("7"), true},
		{"what follows", decodePart, part("7", piece("stdout", 10, 5), piece("stderr", 0, 1), piece("stdout", 15, 1)), true},
		{"a gap", decodePart, part("7", piece("stdout", 1<<40, 5)), true},
		{"what is known", decodePart, part("7", piece("stdout", 9, 5)), false},
		{"the same of another run", decodePart, part("8", piece("stdout", 0, 5)), true},
		{"an overlap", decodePart, part("8", piece("stdout", 0, 5), piece("stdout", 4, 5)), false},
		{"no run", decodePart, part("0"), false},
		{"no attempt", decodePart, `{"run":"7","attempt":0,"pieces":[],"over":true}`, false},
		{"another stream", decodePart, part("7", piece("stdin", 10, 5)), false},
		{"an empty piece", decodePart, part("7", piece("stdout", 10, 0)), false},
		{"an offset below 0", decodePart, part("8", piece("stdout", -1, 1)), false},
		{"an offset that overflows", decodePart, part("7", piece("stdout", 1<<63-1, 1)), false},
		{"as much as may be", decodePart, part("7", piece("stdout", 10, MaxOutputPart)), true},
		{"too much", decodePart, part("7", piece("stdout", 10, MaxOutputPart), piece("stderr", 0, 1)), false},
		{"as many as may be", decodePart, part("7", small[:MaxOutputPieces]...), true},
		{"too many", decodePart, part("7", small...), false},
		{"no part", decodePart, `[]`, false},
		{"nobody writes", decodeState, state("0", ""), true},
		{"some write", decodeState, state("4", "0,3"), true},
		{"as many write as may", decodeState, state("4096", many(core.MaxWritersShown)), true},
		{"too many write", decodeState, state("4096", many(core.MaxWritersShown+1)), false},
		{"one twice", decodeState, state("4", "1,1"), false},
		{"one that cannot be", decodeState, state("4", "4096"), false},
		{"too many subtasks", decodeState, state("4097", ""), false},
		{"of another task", decodeState, strings.Replace(state("1", ""), string(sampleTask), "other", 1), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.decode(json.RawMessage(tt.text)); (err == nil) != tt.ok {
				t.Error(err)
			}
		})
	}
}

// FuzzOutput: whatever is answered, what is accepted goes on from what is known and is
// bounded.
func FuzzOutput(f *testing.F) {
	for _, v := range []any{sampleOutputState(), sampleOutputPart()} {
		text, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := DecodeOutputState(text, sampleTask); err == nil && len(s.Running) > core.MaxWritersShown {
			t.Errorf("%+v", s)
		}
		from := *sampleFrom()
		part, err := DecodeOutputPart(text, from)
		if err != nil {
			return
		}
		if part.Run != from.Run {
			from = core.OutputFrom{}
		}
		total := 0
		for _, p := range part.Pieces {
			known := from.Known(p.Stream)
			if p.Offset < *known {
				t.Fatalf("%+v", part)
			}
			*known = p.Offset + int64(len(p.Data))
			total += len(p.Data)
		}
		if total > MaxOutputPart {
			t.Errorf("%d bytes", total)
		}
		again, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeOutputPart(again, *sampleFrom()); err != nil {
			t.Errorf("%s: %v", again, err)
		}
	})
}
