package wire

import (
	"fmt"
	"strings"

	"github.com/xrash/smetrics"
)

// maxGuessed bounds the keys a suggestion is looked for: the cost grows with the
// square of the length, and keys are remote text.
const maxGuessed = 40

// suggest returns the hint for a key that no field of s has: the field that was
// probably meant, or nothing when none is near.
func (s *shape) suggest(key []byte) string {
	if len(key) > maxGuessed {
		return ""
	}
	word := strings.ToLower(string(key))
	// Two letters may differ in any word, as when two are swapped, but never all.
	best, bestCost := "", min(max(2, len(word)/3)+1, len(word))
	for _, f := range s.fields {
		if cost := smetrics.WagnerFischer(word, strings.ToLower(f.name), 1, 1, 1); cost < bestCost {
			best, bestCost = f.name, cost
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("the nearest field is %s; correct or remove it", best)
}
