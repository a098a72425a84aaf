package regional

import (
	"testing"

	"github.com/tenzro/tenzro/core"
)

// TestShown: the proofs of a job are those of its first parts, as many as fit into a
// message beside that of the merge; one that shares a signature takes two places.
func TestShown(t *testing.T) {
	alone, shared := part{}, part{proof: core.Proof{Inclusion: []byte{1}}}
	for name, c := range map[string]struct {
		alone, shared int // parts, in this order
		want          int
	}{
		"none":                   {0, 0, 0},
		"one":                    {1, 0, 1},
		"as many as fit":         {63, 0, 63},
		"one more":               {64, 0, 63},
		"as many as fit, shared": {0, 31, 31},
		"one more, shared":       {0, 32, 31},
		"both":                   {61, 2, 62},
		"a place for a half":     {62, 1, 62},
	} {
		t.Run(name, func(t *testing.T) {
			var parts []part
			for range c.alone {
				parts = append(parts, alone)
			}
			for range c.shared {
				parts = append(parts, shared)
			}
			if got := len(shown(parts)); got != c.want {
				t.Errorf("%d proofs are shown, want %d", got, c.want)
			}
		})
	}
}
