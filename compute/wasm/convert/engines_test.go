package convert_test

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tenzro/tenzro/compute/wasm/convert"
)

// plenty is more fuel than any test here needs.
const plenty = 1 << 40

// engines are the two of wazero, which share no code below the decoder.
func engines() map[string]wazero.RuntimeConfig {
	return map[string]wazero.RuntimeConfig{
		"compiler":    wazero.NewRuntimeConfigCompiler(),
		"interpreter": wazero.NewRuntimeConfigInterpreter(),
	}
}

// guest is an instance of a converted module.
type guest struct {
	api.Module
	rt wazero.Runtime
}

// start instantiates code and sets the fuel; it does not call the start function.
func start(tb testing.TB, cfg wazero.RuntimeConfig, code []byte, fuel int64) guest {
	tb.Helper()
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, cfg)
	tb.Cleanup(func() { _ = rt.Close(ctx) })
	m, err := rt.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		tb.Fatal(err)
	}
	g := guest{m, rt}
	g.refuel(fuel)
	return g
}

func (g guest) refuel(fuel int64) {
	if f, ok := g.ExportedGlobal(convert.FuelExport).(api.MutableGlobal); ok {
		f.Set(uint64(fuel))
		g.ExportedGlobal(convert.StackExport).(api.MutableGlobal).Set(convert.StackBudget)
	}
}

func (g guest) fuel() int64  { return int64(g.ExportedGlobal(convert.FuelExport).Get()) }
func (g guest) stack() int64 { return int64(g.ExportedGlobal(convert.StackExport).Get()) }

func (g guest) call(name string, args ...uint64) ([]uint64, error) {
	f := g.ExportedFunction(name)
	results, err := f.Call(context.Background(), args...)
	clean(f, results)
	return results, err
}

// clean clears what the compiler leaves in the upper half of 32-bit results.
func clean(f api.Function, results []uint64) {
	i := 0
	for _, t := range f.Definition().ResultTypes() {
		switch {
		case i >= len(results): // none, after a trap
		case t == api.ValueTypeI32 || t == api.ValueTypeF32:
			results[i] &= 0xffff_ffff
		case t == 0x7b: // v128 takes two words
			i++
		}
		i++
	}
}

// mustConvert converts with the defaults.
func mustConvert(tb testing.TB, module []byte, o convert.Options) convert.Converted {
	tb.Helper()
	c, err := convert.Convert(module, o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}
