package vector

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute"
)

const sample = `{"input":[1,2,3,4,5],"operations":["square","sum"]}`

func BenchmarkSample(b *testing.B) {
	v, data := New(), json.RawMessage(sample)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Check(data); err != nil {
			b.Fatal(err)
		}
		if out, err := v.Run(b.Context(), data, compute.Report{}); err != nil || string(out.Result) != "55" {
			b.Fatal(out, err)
		}
	}
}

// numbersOf returns data with n elements, integers or not.
func numbersOf(n int, float bool, operations string) json.RawMessage {
	var sb strings.Builder
	sb.WriteString(`{"input":[`)
	for i := range n {
		if i > 0 {
			sb.WriteByte(',')
		}
		if float {
			fmt.Fprintf(&sb, "%.6g", math.Sin(float64(i))*1000)
		} else {
			fmt.Fprint(&sb, i%2003-1000)
		}
	}
	sb.WriteString(`],"operations":[` + operations + `]}`)
	return json.RawMessage(sb.String())
}

func BenchmarkMillion(b *testing.B) {
	for _, c := range []struct {
		name, ops string
		float     bool
	}{
		{"ints/square,sum", `"square","sum"`, false},
		{"floats/square,sum", `"square","sum"`, true},
		{"floats/variance", `"variance"`, true},
		{"ints/square", `"square"`, false},
		{"floats/exp-log", `"tanh","exp","log"`, true},
		{"floats/sort", `"sort"`, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			v, data := New(), numbersOf(1_000_000, c.float, c.ops)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Run(context.Background(), data, compute.Report{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("check", func(b *testing.B) {
		v, data := New(), numbersOf(1_000_000, true, `"square","sum"`)
		for b.Loop() {
			if _, err := v.Check(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("split3", func(b *testing.B) {
		v, data := New(), numbersOf(1_000_000, true, `"square","sum"`)
		for b.Loop() {
			if _, err := v.Split(data, 3); err != nil {
				b.Fatal(err)
			}
		}
	})
}
