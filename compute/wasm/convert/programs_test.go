package convert_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
)

// program is a module in testdata/programs. Its export "run" takes a size and
// returns a number that depends on everything it did.
type program struct {
	name   string
	module []byte
}

func programs(tb testing.TB) (all []program) {
	tb.Helper()
	paths, err := filepath.Glob("testdata/programs/*.wat")
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no programs: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, program{strings.TrimSuffix(filepath.Base(path), ".wat"), wasmtest.Module(tb, string(text))})
	}
	return all
}

// size is what run takes to be busy for some milliseconds, as measured.
func (p program) size() uint64 {
	switch p.name {
	case "sum":
		return 10_000_000
	case "fib":
		return 30
	case "scan":
		return 100
	case "mandelbrot":
		return 200
	case "mix":
		return 20_000
	case "matrix":
		return 20
	case "axpy", "vector":
		return 1_000
	case "sort":
		return 20
	}
	return 1_000_000 // switch
}

// BenchmarkPrograms measures what the conversion costs: the time of the converted
// program, and as "ratio" how many times that of the original it is, best of the
// runs of each. "fuel", "stack" and "nan" are the ratios with that change alone.
func BenchmarkPrograms(b *testing.B) {
	for _, p := range programs(b) {
		b.Run(p.name, func(b *testing.B) {
			variants := []struct {
				unit string
				code []byte
			}{
				{"", p.module},
				{"ratio", mustConvert(b, p.module, convert.Options{}).Code},
				{"fuel", mustConvert(b, p.module, convert.Options{NoStack: true, NoNaN: true}).Code},
				{"stack", mustConvert(b, p.module, convert.Options{NoFuel: true, NoNaN: true}).Code},
				{"nan", mustConvert(b, p.module, convert.Options{NoFuel: true, NoStack: true}).Code},
			}
			best := make([]time.Duration, len(variants))
			for range b.N {
				for i, v := range variants {
					took := timed(b, v.code, p.size())
					if best[i] == 0 || took < best[i] {
						best[i] = took
					}
				}
			}
			for i, v := range variants[1:] {
				b.ReportMetric(float64(best[i+1])/float64(best[0]), v.unit)
			}
			b.ReportMetric(float64(best[1].Nanoseconds()), "ns/op")
		})
	}
}

// timed returns the shortest of three runs on the compiler.
func timed(b *testing.B, code []byte, size uint64) (best time.Duration) {
	g := start(b, wazero.NewRuntimeConfigCompiler(), code, plenty)
	defer g.rt.Close(context.Background())
	for range 3 {
		begin := time.Now()
		if g.ExportedGlobal(convert.FuelExport) != nil {
			g.refuel(plenty)
		}
		if _, err := g.call("run", size); err != nil {
			b.Fatal(err)
		}
		if took := time.Since(begin); best == 0 || took < best {
			best = took
		}
	}
	return best
}
