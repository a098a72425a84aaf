package wire

import (
	"errors"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// TestSuggestedField: a misspelt field is told with the one that was meant, and
// with none when none is near.
func TestSuggestedField(t *testing.T) {
	for text, want := range map[string]string{
		`{"queueTimeout":1}`:             "queueTimeoutMs",
		`{"timeout":1}`:                  "timeoutMs",
		`{"prioritie":1}`:                "priority",
		`{"TPYE":"x"}`:                   "type",
		`{"requirements":{"memory":1}}`:  "memoryMB",
		`{"requirements":{"minTeir":1}}`: "minTier",
		`{"colour":1}`:                   "",
		`{"x":1}`:                        "",
		`{"":1}`:                         "",
		`{"` + strings.Repeat("type", 1000) + `":1}`: "",
	} {
		t.Run(text[:min(len(text), 30)], func(t *testing.T) {
			err := DecodeStrictClosed([]byte(text), new(core.TaskSpec))
			var known *core.Error
			if !errors.As(err, &known) || known.Kind != core.Invalid {
				t.Fatalf("error %v", err)
			}
			if want == "" && known.Hint != "" || !strings.Contains(known.Hint, want) {
				t.Errorf("hint %q, want one of %q", known.Hint, want)
			}
		})
	}
}
