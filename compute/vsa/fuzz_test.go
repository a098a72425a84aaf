package vsa

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

func FuzzDecode(f *testing.F) {
	for _, g := range goldens(f) {
		f.Add(g.Type == EvolutionType, []byte(g.Data))
	}
	f.Fuzz(func(t *testing.T, evolution bool, data []byte) {
		of := Type
		if evolution {
			of = EvolutionType
		}
		x := engineOf(of)
		cost, err := x.Check(data)
		if err != nil {
			if !errors.Is(err, core.Invalid) || opOf(err) == "" {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		if !json.Valid(data) || cost.MaxShards < 1 || cost.Units > MaxUnits {
			t.Fatalf("%q is taken: %+v", data, cost)
		}
		if cost.Units > 1e7 {
			return
		}
		out, err := x.Run(context.Background(), data, compute.Report{})
		if err != nil {
			t.Fatalf("%q was taken, then %v", data, err)
		}
		if err := compute.Judge(x, data, out.Result, out.Metric); err != nil {
			t.Fatalf("%q gives %q, then %v", data, out.Result, err)
		}
		if parts, err := x.Split(data, min(cost.MaxShards, 3)); err != nil || len(parts) != min(cost.MaxShards, 3) {
			t.Fatalf("%q is not split: %v", data, err)
		}
	})
}

func FuzzResult(f *testing.F) {
	all := goldens(f)
	for i, g := range all {
		f.Add(uint8(i), []byte(g.Result))
	}
	f.Fuzz(func(t *testing.T, which uint8, result []byte) {
		g := all[int(which)%len(all)]
		err := engineOf(g.Type).Validate(g.Data, result)
		if err != nil && !errors.Is(err, core.Corrupt) {
			t.Fatalf("kind of %v", err)
		}
		if err == nil && !json.Valid(result) {
			t.Fatalf("accepted %q", result)
		}
	})
}

// BenchmarkFitness is what a verifier pays for an evolved vector.
func BenchmarkFitness(b *testing.B) {
	for _, g := range goldens(b) {
		if g.Type != EvolutionType {
			continue
		}
		b.Run(g.Name, func(b *testing.B) {
			for b.Loop() {
				if err := (Evolution{}).Validate(g.Data, g.Result); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
