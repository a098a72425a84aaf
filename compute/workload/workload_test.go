package workload

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestDigests: a version of a piece of work leaves these digests, on every
// processor and for ever.
func TestDigests(t *testing.T) {
	want := map[string]string{
		"hash 1":   "89d723323d63bbb8 c9ae361f208a2b49 0d33dc2a53f40259",
		"float 1":  "b7881b7635fe1498 64c99550cbb59131 faee4ddf7ef7323f",
		"matrix 1": "9b36e260ba267b32 56a2a55847c6c40f 009242f2897ba90d",
		"memory 1": "b39c457fc140214a 049bb8741c8e1494 6b4501772acbcbb6",
		"disk 1":   "b3d0a1f7938cd4d8 408a12070e3a4694 1d343ac6e21f2e12",
		"wasm 1":   "205e07d72d8e5714 ffcda47c51e18f15 c72def710dfbdaf2",
		"vsa 1":    "d918d0b307b1f438 8507d05b73210e0f 7a23de08e1292269",
	}
	for _, k := range Kinds() {
		var used Scratch
		got := ""
		for _, seed := range []uint64{0, 1, 1<<64 - 1} {
			first, err := k.Work(&used, seed)
			if err != nil {
				t.Fatal(err)
			}
			again, err := k.Work(new(Scratch), seed)
			if err != nil || again != first {
				t.Errorf("%s: digest %x with used memory, %x with new, %v", k.Name, first, again, err)
			}
			got += fmt.Sprintf(" %016x", first)
		}
		if name := fmt.Sprintf("%s %d", k.Name, k.Version); want[name] != got[1:] {
			t.Errorf("%q: %q,", name, got[1:])
		}
	}
}

// TestKinds: every piece of work says what a score means and bounds it.
func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds() {
		if seen[k.Name] || k.Version < 1 || k.Unit == "" || k.Each <= 0 || k.Most <= 0 || k.Units <= 0 || k.Limit < 1 {
			t.Errorf("%+v", k)
		}
		seen[k.Name] = true
	}
	if k := Kinds()[4]; !k.Durable || k.Name != "disk" {
		t.Error("disk is not the one that needs a disk")
	}
}

func Benchmark(b *testing.B) {
	for _, k := range Kinds() {
		b.Run(k.Name, func(b *testing.B) {
			var s Scratch
			for b.Loop() {
				if _, err := k.Work(&s, 1); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(k.Each*float64(b.N)/b.Elapsed().Seconds(), k.Unit)
		})
	}
}
