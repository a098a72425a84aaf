package wasm_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/compute/wasm/hostiletest"
	"github.com/tenzro/tenzro/core"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// TestHostile runs the corpus on both engines: each program ends for its reason,
// with the same words. Those that only a kill ends are for the tests with real
// processes.
func TestHostile(t *testing.T) {
	cases := hostiletest.Corpus(t)
	if len(cases) < 40 {
		t.Fatalf("the corpus has %d cases only", len(cases))
	}
	rigs, all := map[string]rig{}, map[string]string{}
	for name, engine := range engines() {
		rigs[name] = newRig(t, engine, nil)
	}
	for _, c := range cases {
		if c.Slow() {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			ends := map[string]bool{}
			for name, r := range rigs {
				out, err := r.Run(context.Background(), c.Data, compute.Report{})
				end := string(out.Result)
				if err != nil {
					end = err.Error()
				}
				ends[end] = true
				if got := max(reason(err), core.Reason("")); got != c.Reason && !(got == "" && c.Reason == hostiletest.OK) {
					t.Errorf("%s: %q: %s, want %s", name, got, end, c.Reason)
				}
				if err == nil {
					if err := (wasm.Planner{}).Validate(c.Data, out.Result); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
			if len(ends) != 1 {
				t.Errorf("the engines differ: %v", ends)
			}
			for end := range ends {
				all[c.Name] = end
			}
		})
	}
	compareEnds(t, all)
}

// compareEnds holds how the programs end, fuel included, to what is in
// testdata/ends.txt: on every machine that runs the tests.
func compareEnds(t *testing.T, ends map[string]string) {
	t.Helper()
	const path = "testdata/ends.txt"
	var got strings.Builder
	for _, name := range slices.Sorted(maps.Keys(ends)) {
		fmt.Fprintf(&got, "%s\n\t%s\n", name, ends[name])
	}
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got.String() != string(want) {
		t.Errorf("the ends are not those of %s (%v); if that is meant, run with -update and look at the difference", path, err)
	}
}
