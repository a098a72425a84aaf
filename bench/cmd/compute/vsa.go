package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tenzro/tenzro/bench/internal/measure"
	"github.com/tenzro/tenzro/bench/internal/report"
	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vsa"
	"github.com/tenzro/tenzro/compute/vsa/hyper"
)

// The vectors of the bars.
const (
	vsaDimension = 10_048
	vsaBundle    = 101
)

// vsa holds operations on hypervectors to their bars. A bar is a time, so a row's
// ratio is nanoseconds.
func (b *bench) vsa(ctx context.Context) error {
	t := b.report.Table(fmt.Sprintf("Hypervectors of %d elements", vsaDimension), "operation", "binary", "ternary")
	for _, op := range vsaOperations() {
		var took [2]float64
		for kind := range took {
			var err error
			if took[kind], err = b.vsaOperation(ctx, hyper.Kind(kind), op); err != nil {
				return err
			}
		}
		t.Add(op.name, nanoseconds(took[0]), nanoseconds(took[1]))
		if op.bar > 0 {
			b.report.Row(report.AtMost(fmt.Sprintf("vsa %s of %d bits", op.name, vsaDimension), nanoseconds(took[0]), "-", took[0], op.bar, " ns"))
		}
	}
	return b.fitness(ctx)
}

// vsaOperation is one line of the table.
type vsaOperation struct {
	name  string
	bar   float64 // nanoseconds, of binary vectors; 0 = none
	calls int     // in a slice
	do    func(dst *hyper.Vector, vs []*hyper.Vector) error
}

func vsaOperations() []vsaOperation {
	return []vsaOperation{
		{"bind", 200, 2000, func(dst *hyper.Vector, vs []*hyper.Vector) error { return dst.Bind(vs[0], vs[1]) }},
		{fmt.Sprintf("bundle of %d", vsaBundle), 150_000, 20, func(dst *hyper.Vector, vs []*hyper.Vector) error { return dst.Bundle(vs) }},
		{fmt.Sprintf("bundle of %d, with ties", vsaBundle-1), 0, 20, func(dst *hyper.Vector, vs []*hyper.Vector) error { return dst.Bundle(vs[1:]) }},
		{"permute", 0, 1000, func(dst *hyper.Vector, vs []*hyper.Vector) error { dst.Permute(vs[0], 4321); return nil }},
		{"similarity", 0, 2000, func(_ *hyper.Vector, vs []*hyper.Vector) error { _, err := hyper.Dot(vs[0], vs[1]); return err }},
		{"random", 0, 500, func(dst *hyper.Vector, vs []*hyper.Vector) error {
			return dst.Random(vs[0].Kind(), vsaDimension, 1)
		}},
	}
}

func (b *bench) vsaOperation(ctx context.Context, kind hyper.Kind, op vsaOperation) (float64, error) {
	vs := make([]*hyper.Vector, vsaBundle)
	for i := range vs {
		vs[i] = new(hyper.Vector)
		if err := vs[i].Random(kind, vsaDimension, hyper.ItemSeed(1, i)); err != nil {
			return 0, err
		}
	}
	var dst hyper.Vector
	best, err := measure.Best(b.slices(), op.calls, func() error { return op.do(&dst, vs) })
	if err == nil {
		err = ctx.Err()
	}
	return best, err
}

// slices is how many chances an operation has to run undisturbed.
func (b *bench) slices() int {
	if b.quick {
		return 3
	}
	return 300
}

// fitness shows what it costs to check an evolved vector, its text included.
func (b *bench) fitness(ctx context.Context) error {
	t := b.report.Table(fmt.Sprintf("Evolution of %d elements towards 10 exemplars", vsaDimension), "what", "took")
	exemplars := make([]map[string]string, 10)
	for i := range exemplars {
		exemplars[i] = map[string]string{"seed": fmt.Sprint(i)}
	}
	data, err := json.Marshal(map[string]any{"kind": "binary", "dimension": vsaDimension, "seed": "1", "exemplars": exemplars, "generations": 20})
	if err != nil {
		return err
	}
	out, err := vsa.Evolution{}.Run(ctx, data, compute.Report{})
	if err != nil {
		return err
	}
	evolve, err := measure.Best(3, 1, func() error {
		_, err := vsa.Evolution{}.Run(ctx, data, compute.Report{})
		return err
	})
	if err != nil {
		return err
	}
	check, err := measure.Best(b.slices(), 5, func() error { return vsa.Evolution{}.Validate(data, out.Result) })
	if err != nil {
		return err
	}
	t.Add("20 generations of 32", nanoseconds(evolve))
	t.Add("checking the result", nanoseconds(check))
	return nil
}

// nanoseconds writes a time with three digits.
func nanoseconds(ns float64) string {
	switch {
	case ns >= 1e6:
		return fmt.Sprintf("%.2f ms", ns/1e6)
	case ns >= 1e4:
		return fmt.Sprintf("%.1f us", ns/1e3)
	}
	return fmt.Sprintf("%.0f ns", ns)
}
