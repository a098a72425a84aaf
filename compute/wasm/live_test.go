package wasm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
)

// writer is a program that writes "one\n" and "oops\n" to its two outputs, does
// something for a while, and then what comes last.
func writer(rounds int, last string) string {
	return fmt.Sprintf(`(module
	(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
	(memory (export "memory") 1)
	(data (i32.const 0) "\18\00\00\00\04\00\00\00\1c\00\00\00\05\00\00\00\21\00\00\00\04\00\00\00one\noops\ntwo\n")
	(func (export "_start") (local i64)
		(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))
		(drop (call $write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 100)))
		(local.set 0 (i64.const %d))
		(loop (br_if 0 (i64.ne (i64.const 0) (local.tee 0 (i64.sub (local.get 0) (i64.const 1))))))
		%s))`, rounds, last)
}

const (
	forYears = 1 << 60
	briefly  = 1
	writeTwo = `(drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 100)))`
)

// heard is what a task was heard to write.
type heard struct {
	mu     sync.Mutex
	pieces int
	text   map[core.Stream]string
	each   func(core.Stream, string) // called with the whole stream so far; may be nil
}

func (h *heard) report() compute.Report {
	h.text = map[core.Stream]string{}
	return compute.Report{OnOutput: func(s core.Stream, piece []byte) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.pieces++
		h.text[s] += string(piece)
		if h.each != nil {
			h.each(s, h.text[s])
		}
	}}
}

// TestSeenWhileItRuns: a program in a real child that would run for years is heard,
// and then ended by who heard it. That it has just been compiled, and has taken much
// memory, does not keep the child from telling: see sandbox.Churn.
func TestSeenWhileItRuns(t *testing.T) {
	for _, pages := range []int{0, 100, 500, 1500, 4000} {
		t.Run(fmt.Sprintf("%d pages more", pages), func(t *testing.T) {
			text := strings.Replace(writer(forYears, ""), "(local i64)", fmt.Sprintf("(local i64) (drop (memory.grow (i32.const %d)))", pages), 1)
			data := program(t, text).with("limits", map[string]int64{"fuel": wasm.MaxFuel}).data(t)
			dir := t.TempDir()
			for range 3 { // compiled, loaded
				r := newProcessRig(t, dir)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				both := 0
				h := &heard{each: func(core.Stream, string) {
					if both++; both == 2 {
						cancel()
					}
				}}
				_, err := r.Run(ctx, data, h.report())
				if reason(err) != core.ReasonCancelled || h.text[core.Stdout] != "one\n" || h.text[core.Stderr] != "oops\n" {
					t.Fatalf("%q, %v", h.text, err)
				}
			}
		})
	}
}

// TestListeningChangesNothing: with a listener and without, result and fuel are the
// same bytes, and what is heard is what the result says.
func TestListeningChangesNothing(t *testing.T) {
	bytewise := `(module
		(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
		(memory (export "memory") 1)
		(data (i32.const 0) "\08\00\00\00\01\00\00\00x")
		(func (export "_start") (local i32)
			(local.set 0 (i32.const 100000))
			(loop
				(i32.store8 (i32.const 8) (i32.and (local.get 0) (i32.const 127)))
				(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))
				(br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))`
	for name, text := range map[string]string{
		"writes nothing": `(module (func (export "_start")))`,
		"ends at once":   writer(briefly, writeTwo),
		"takes its time": writer(300_000_000, writeTwo),
		"byte by byte":   bytewise,
		"with an exit":   hello,
	} {
		t.Run(name, func(t *testing.T) {
			r := newProcessRig(t, "")
			data := program(t, text).with("limits", map[string]int64{"fuel": 1 << 40}).data(t)
			silent, err := r.Run(t.Context(), data, compute.Report{})
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			var h heard
			out, err := r.Run(t.Context(), data, h.report())
			if err != nil || string(out.Result) != string(silent.Result) {
				t.Fatalf("%s, %v; unheard it was %s", out.Result, err, silent.Result)
			}
			result, err := wasm.DecodeResult(out.Result)
			if err != nil || h.text[core.Stdout] != string(result.Stdout) || h.text[core.Stderr] != string(result.Stderr) {
				t.Errorf("%v; heard %q", err, h.text)
			}
			if most := 2 * (2 + len(result.Stdout)/sandbox.MaxPiece + int(time.Since(begun)/wasm.LiveEvery)); h.pieces > most {
				t.Errorf("%d pieces, want at most %d", h.pieces, most)
			}
		})
	}
}

// TestLastWordsAreHeard: of a program that fails there is no result, so all it wrote
// is shown before.
func TestLastWordsAreHeard(t *testing.T) {
	for name, r := range map[string]rig{"in a child": newProcessRig(t, ""), "in this process": newRig(t, wasm.EngineAuto, nil)} {
		t.Run(name, func(t *testing.T) {
			var h heard
			_, err := r.Run(t.Context(), program(t, writer(briefly, writeTwo+"(unreachable)")).data(t), h.report())
			if reason(err) != core.ReasonTrap || h.text[core.Stdout] != "one\ntwo\n" || h.text[core.Stderr] != "oops\n" {
				t.Errorf("%q, %v", h.text, err)
			}
		})
	}
}

// actor is a child that shows what it likes, and then answers truly.
type actor struct {
	double
	shows []string
}

func (a actor) Run(ctx context.Context, job sandbox.Job) (sandbox.Result, error) {
	for _, text := range a.shows {
		job.Output(core.Stdout, []byte(text))
	}
	job.Output = nil
	return a.double.Run(ctx, job)
}

// TestShownOtherwise: what a child shows must be how its answer begins, or the answer
// is nothing.
func TestShownOtherwise(t *testing.T) {
	guest := wasm.NewGuest(wasm.GuestConfig{})
	t.Cleanup(guest.Close)
	for _, c := range []struct {
		name  string
		shows []string
		ok    bool
	}{
		{"nothing", nil, true},
		{"its beginning", []string{"o", "ne"}, true},
		{"all of it", []string{"one\ntwo\n"}, true},
		{"something else", []string{"One"}, false},
		{"more", []string{"one\ntwo\n", "three"}, false},
		{"a gap", []string{"on", "two"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h heard
			x := wasm.NewExecutor(wasm.ExecutorConfig{MemoryMB: 1024}, actor{double{wasm.HandlerName: guest.Handle}, c.shows}, zerolog.Nop())
			_, err := x.Run(t.Context(), program(t, writer(briefly, writeTwo)).data(t), h.report())
			if (err == nil) != c.ok || c.ok && h.text[core.Stdout] != "one\ntwo\n" || !c.ok && h.text[core.Stdout] != strings.Join(c.shows, "") {
				t.Errorf("%v; heard %q", err, h.text)
			}
		})
	}
}

// BenchmarkWriter runs a program that writes, in a child that is ready, with a
// listener and without.
func BenchmarkWriter(b *testing.B) {
	for name, report := range map[string]compute.Report{"unheard": {}, "heard": {OnOutput: func(core.Stream, []byte) {}}} {
		b.Run(name, func(b *testing.B) {
			r := rig{Executor: wasm.NewExecutor(wasm.ExecutorConfig{MemoryMB: 1024}, serve(b, sandbox.Config{Warm: 1, Jobs: 1 << 30}), zerolog.Nop())}
			var data json.RawMessage = program(b, writer(briefly, writeTwo)).data(b)
			for b.Loop() {
				if _, err := r.Run(b.Context(), data, report); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
