package benchmark

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/compute/workload"
	"github.com/tenzro/tenzro/core"
)

// call runs a converted module in this process and returns what its function "run"
// made of n and how much fuel that took.
func call(ctx context.Context, module []byte, n uint64) (result, fuel uint64, err error) {
	const plenty = 1 << 40
	converted, err := convert.Convert(module, convert.Options{})
	if err != nil {
		return 0, 0, err
	}
	rt := wazero.NewRuntime(ctx)
	defer rt.Close(ctx)
	m, err := rt.Instantiate(ctx, converted.Code)
	if err != nil {
		return 0, 0, err
	}
	tank := m.ExportedGlobal(convert.FuelExport).(api.MutableGlobal)
	tank.Set(plenty)
	out, err := m.ExportedFunction("run").Call(ctx, n)
	if err != nil {
		return 0, 0, err
	}
	return out[0], plenty - tank.Get(), nil
}

func program(ctx context.Context, module []byte, n uint64) (uint64, error) {
	result, _, err := call(ctx, module, n)
	return result, err
}

// TestProgram: the module of the workload "wasm" is what its text says, returns what
// the verifier computes without it, and costs the fuel that a score counts.
func TestProgram(t *testing.T) {
	text, err := os.ReadFile("testdata/fuel.wat")
	if err != nil {
		t.Fatal(err)
	}
	module, err := wasmtest.Assemble(string(text))
	if err != nil || !bytes.Equal(module, workload.Program()) {
		t.Fatalf("%v; the text is the module %x", err, module)
	}
	kinds := workload.Kinds()
	kind := kinds[slices.IndexFunc(kinds, func(k workload.Kind) bool { return k.Guest })]
	for _, seed := range []uint64{0, 1, 1<<64 - 1} {
		got, fuel, err := call(t.Context(), module, seed)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := kind.Work(nil, seed); err != nil || got != want {
			t.Errorf("seed %d: the program returns %x, the verifier has %x, %v", seed, got, want, err)
		}
		if used := float64(fuel) / 1e6; used != kind.Each {
			t.Errorf("seed %d: %v million units of fuel are used, a segment counts %v", seed, used, kind.Each)
		}
	}
}

// TestNoPrograms: a node that runs no programs says so.
func TestNoPrograms(t *testing.T) {
	_, err := New(Config{}).Run(t.Context(), json.RawMessage(`{"workload":"wasm"}`), compute.Report{})
	var f *core.Failure
	if !errors.As(err, &f) || f.Reason != core.ReasonExecutionFailed {
		t.Errorf("got %v", err)
	}
}
