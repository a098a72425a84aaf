package hyper_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tenzro/tenzro/compute/vsa/hyper"
	"github.com/tenzro/tenzro/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kinds and dimensions that have every kind of last word and last byte.
func shapes(t *rapid.T) (hyper.Kind, int) {
	kind := rapid.SampledFrom([]hyper.Kind{hyper.Binary, hyper.Ternary}).Draw(t, "kind")
	dim := rapid.OneOf(rapid.IntRange(1, 300), rapid.SampledFrom([]int{64, 128, 1000, 1024, 10_048})).Draw(t, "dimension")
	return kind, dim
}

// drawn is a vector that rapid chose the seed of.
func drawn(t *rapid.T, kind hyper.Kind, dim int, name string) *hyper.Vector {
	v := new(hyper.Vector)
	if err := v.Random(kind, dim, rapid.Uint64().Draw(t, name)); err != nil {
		t.Fatal(err)
	}
	return v
}

func must(t interface{ Fatal(...any) }, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// elements unpacks a vector.
func elements(v *hyper.Vector) []int {
	out := make([]int, v.Dimension())
	for i := range out {
		out[i] = v.At(i)
	}
	return out
}

// of packs elements.
func of(t interface{ Fatal(...any) }, kind hyper.Kind, values []int) *hyper.Vector {
	v := new(hyper.Vector)
	must(t, v.Parse(kind, len(values), make([]byte, kind.Bytes(len(values)))))
	for i, x := range values {
		v.Set(i, x)
	}
	return v
}

// polar is an element as a number: a binary 0 counts as -1.
func polar(kind hyper.Kind, x int) int {
	if kind == hyper.Binary {
		return 2*x - 1
	}
	return x
}

// TestAgainstElements: every operation on words is what its definition says of
// single elements.
//
// spec 4.4
func TestAgainstElements(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind, dim := shapes(t)
		a, b := drawn(t, kind, dim, "a"), drawn(t, kind, dim, "b")
		x, y := elements(a), elements(b)
		by := rapid.IntRange(-2*dim, 2*dim).Draw(t, "by")
		bound, negated, moved, dot := make([]int, dim), make([]int, dim), make([]int, dim), 0
		for i := range dim {
			p, q := polar(kind, x[i]), polar(kind, y[i])
			dot += p * q
			if kind == hyper.Binary {
				bound[i], negated[i] = x[i]^y[i], 1-x[i]
			} else {
				bound[i], negated[i] = p*q, -p
			}
			moved[((i+by)%dim+dim)%dim] = x[i]
		}
		var got hyper.Vector
		same := func(what string, want []int) {
			if !slices.Equal(elements(&got), want) || !got.Equal(of(t, kind, want)) {
				t.Fatalf("%s of %d elements differs", what, dim)
			}
		}
		must(t, got.Bind(a, b))
		same("bind", bound)
		got.Negate(a)
		same("negate", negated)
		got.Permute(a, by)
		same("permute", moved)
		got.Copy(a)
		got.Permute(&got, by)
		same("permute in place", moved)
		got.Copy(a)
		got.Negate(&got)
		same("negate in place", negated)
		must(t, got.Bind(a, b))
		must(t, got.Bind(&got, &got))
		if n, err := hyper.Dot(a, b); err != nil || n != dot {
			t.Fatalf("dot %d, %v, want %d", n, err, dot)
		}
	})
}

// TestBundleAgainstElements: a bundle is the majority, or the sign of the sum, and
// a tie is what the parity before it says.
//
// spec 4.4
func TestBundleAgainstElements(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind, dim := shapes(t)
		n := rapid.OneOf(rapid.IntRange(1, 40), rapid.SampledFrom([]int{64, 101, 128, 257})).Draw(t, "n")
		vs := make([]*hyper.Vector, n)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		sums, ones := make([]int, dim), make([]int, dim)
		for i := range vs {
			vs[i] = new(hyper.Vector)
			must(t, vs[i].Random(kind, dim, r.Uint64N(uint64(n)))) // some of them twice
			for j, x := range elements(vs[i]) {
				sums[j] += polar(kind, x)
				ones[j] += x
			}
		}
		want := make([]int, dim)
		for i, s := range sums {
			want[i] = min(1, max(-1, s))
			if kind == hyper.Binary {
				want[i] = (want[i] + 1) / 2
			}
			if kind == hyper.Binary && s == 0 {
				want[i] = ones[(i+dim-1)%dim] % 2
			}
		}
		var got, moved, again hyper.Vector
		must(t, got.Bundle(vs))
		if !got.Equal(of(t, kind, want)) {
			t.Fatalf("bundle of %d vectors of %d elements differs", n, dim)
		}
		r.Shuffle(n, func(i, j int) { vs[i], vs[j] = vs[j], vs[i] })
		must(t, again.Bundle(vs))
		if !got.Equal(&again) {
			t.Fatal("the order of the vectors shows")
		}
		by := r.IntN(dim)
		for i := range vs {
			v := new(hyper.Vector)
			v.Permute(vs[i], by)
			vs[i] = v
		}
		must(t, again.Bundle(vs))
		if moved.Permute(&got, by); !moved.Equal(&again) {
			t.Fatal("permuting does not commute with bundling")
		}
	})
}

// TestAlgebra: what people rely on.
//
// spec 4.4
func TestAlgebra(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind, dim := shapes(t)
		a, b, c := drawn(t, kind, dim, "a"), drawn(t, kind, dim, "b"), drawn(t, kind, dim, "c")
		var x, y, z hyper.Vector
		must(t, x.Bind(a, b))
		must(t, y.Bind(b, a))
		if !x.Equal(&y) {
			t.Fatal("binding is not commutative")
		}
		must(t, x.Bind(&x, c))
		must(t, y.Bind(b, c))
		must(t, y.Bind(a, &y))
		if !x.Equal(&y) {
			t.Fatal("binding is not associative")
		}
		must(t, x.Bind(a, b))
		must(t, y.Unbind(&x, b))
		for i := range dim { // a ternary 0 in the key cannot be undone
			want := a.At(i)
			if kind == hyper.Ternary && b.At(i) == 0 {
				want = 0
			}
			if y.At(i) != want {
				t.Fatalf("element %d is %d after unbinding, want %d", i, y.At(i), want)
			}
		}
		by := rapid.IntRange(0, dim).Draw(t, "by")
		x.Permute(a, by)
		y.Permute(b, by)
		must(t, x.Bind(&x, &y))
		must(t, z.Bind(a, b))
		z.Permute(&z, by)
		if !x.Equal(&z) {
			t.Fatal("permuting does not commute with binding")
		}
		must(t, x.Parse(kind, dim, a.Bytes()))
		if !x.Equal(a) {
			t.Fatal("Bytes and Parse are not inverse")
		}
	})
}

// TestUnrelated: vectors of different seeds are nearly orthogonal, and a bundle is
// similar to its parts and to nothing else.
func TestUnrelated(t *testing.T) {
	for _, kind := range []hyper.Kind{hyper.Binary, hyper.Ternary} {
		const dim = 10_000
		vs := make([]*hyper.Vector, 21)
		for i := range vs {
			vs[i] = new(hyper.Vector)
			must(t, vs[i].Random(kind, dim, hyper.ItemSeed(7, i)))
		}
		var bundle hyper.Vector
		must(t, bundle.Bundle(vs[:10])) // with ties
		for i, v := range vs {
			dot, err := hyper.Dot(&bundle, v)
			must(t, err)
			if related := i < 10; related != (dot > dim/16) {
				t.Errorf("%s: vector %d has %d in common with the bundle", kind, i, dot)
			}
		}
	}
}

// TestRefused: shapes that do not go together, and bytes that no vector has.
func TestRefused(t *testing.T) {
	var a, b, v hyper.Vector
	must(t, a.Random(hyper.Binary, 100, 1))
	must(t, b.Random(hyper.Ternary, 100, 1))
	short := new(hyper.Vector)
	must(t, short.Random(hyper.Binary, 99, 1))
	_, dot := hyper.Dot(&a, &b)
	for name, err := range map[string]error{
		"kinds":                 v.Bind(&a, &b),
		"dimensions":            v.Bind(&a, short),
		"no shape at all":       v.Bind(new(hyper.Vector), new(hyper.Vector)),
		"dot":                   dot,
		"bundle of nothing":     v.Bundle(nil),
		"bundle of two kinds":   v.Bundle([]*hyper.Vector{&a, &b}),
		"dimension 0":           v.Random(hyper.Binary, 0, 0),
		"dimension too large":   v.Random(hyper.Binary, hyper.MaxDimension+1, 0),
		"too few bytes":         v.Parse(hyper.Binary, 100, make([]byte, 12)),
		"too many bytes":        v.Parse(hyper.Binary, 100, make([]byte, 14)),
		"parse dimension":       v.Parse(hyper.Binary, -1, nil),
		"a bit too many":        v.Parse(hyper.Binary, 9, []byte{0, 2}),
		"a bit too many, minus": v.Parse(hyper.Ternary, 9, []byte{0, 0, 0, 2}),
		"both planes":           v.Parse(hyper.Ternary, 9, []byte{4, 0, 4, 0}),
	} {
		if !errors.Is(err, core.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := hyper.ParseKind("complex"); !errors.Is(err, core.Invalid) {
		t.Errorf("a kind that does not exist: %v", err)
	}
	for _, kind := range []hyper.Kind{hyper.Binary, hyper.Ternary} {
		if got, err := hyper.ParseKind(kind.String()); err != nil || got != kind {
			t.Errorf("%s: %v, %v", kind, got, err)
		}
	}
}

// TestTop: the best matches in order, whatever the order they come in.
func TestTop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dots := rapid.SliceOfN(rapid.IntRange(-3, 3), 0, 50).Draw(t, "dots")
		all := make([]hyper.Match, len(dots))
		for i, d := range dots {
			all[i] = hyper.Match{Index: i, Dot: d}
		}
		most := rapid.IntRange(1, 8).Draw(t, "most")
		top := hyper.NewTop(most)
		for _, i := range rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)).Perm(len(all)) {
			top.Add(all[i])
		}
		slices.SortFunc(all, func(a, b hyper.Match) int {
			if a.Better(b) {
				return -1
			}
			return 1
		})
		if want := all[:min(most, len(all))]; !slices.Equal(top.Best(), want) {
			t.Fatalf("kept %v, want %v", top.Best(), want)
		}
	})
}

// FuzzParse: whatever is taken is written the same way.
func FuzzParse(f *testing.F) {
	f.Add(uint8(0), 9, []byte{255, 1})
	f.Add(uint8(1), 9, []byte{255, 0, 0, 1})
	f.Add(uint8(1), 65_536, make([]byte, 16_384))
	f.Fuzz(func(t *testing.T, kind uint8, dim int, b []byte) {
		var v hyper.Vector
		if err := v.Parse(hyper.Kind(kind%2), dim, b); err != nil {
			if !errors.Is(err, core.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if !slices.Equal(v.Bytes(), b) {
			t.Fatalf("%x is read as %x", b, v.Bytes())
		}
	})
}

// Figures of one operation, held to a bar by bench/cmd/compute.
func BenchmarkBind(b *testing.B) {
	for _, kind := range []hyper.Kind{hyper.Binary, hyper.Ternary} {
		b.Run(kind.String(), func(b *testing.B) {
			vs := items(b, kind, 2)
			var v hyper.Vector
			b.ReportAllocs()
			for b.Loop() {
				must(b, v.Bind(vs[0], vs[1]))
			}
		})
	}
}

func BenchmarkBundle101(b *testing.B) {
	for _, kind := range []hyper.Kind{hyper.Binary, hyper.Ternary} {
		b.Run(kind.String(), func(b *testing.B) {
			vs := items(b, kind, 101)
			var v hyper.Vector
			b.ReportAllocs()
			for b.Loop() {
				must(b, v.Bundle(vs))
			}
		})
	}
}

func BenchmarkDot(b *testing.B) {
	vs := items(b, hyper.Binary, 2)
	for b.Loop() {
		if _, err := hyper.Dot(vs[0], vs[1]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRandom(b *testing.B) {
	var v hyper.Vector
	for b.Loop() {
		must(b, v.Random(hyper.Binary, 10_048, 1))
	}
}

func items(b *testing.B, kind hyper.Kind, n int) []*hyper.Vector {
	vs := make([]*hyper.Vector, n)
	for i := range vs {
		vs[i] = new(hyper.Vector)
		must(b, vs[i].Random(kind, 10_048, hyper.ItemSeed(1, i)))
	}
	return vs
}
