package vector

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute"
)

// TestProductOfTinyFloats: a block of the smallest floats has an exponent of
// seven digits, which is an honest answer and must not be taken for a lie.
//
// spec 2.52
func TestProductOfTinyFloats(t *testing.T) {
	v := New()
	data := json.RawMessage(`{"input":[` + strings.TrimSuffix(strings.Repeat("5e-324,", 8200), ",") + `],"operations":["product"]}`)
	parts, err := v.Split(data, 2)
	if err != nil {
		t.Fatal(err)
	}
	outputs := make([]json.RawMessage, len(parts))
	for i, part := range parts {
		out, err := v.Run(t.Context(), part, compute.Report{})
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Validate(part, out.Result); err != nil {
			t.Errorf("part %d is refused: %v", i, err)
		}
		outputs[i] = out.Result
	}
	if got, err := v.Merge(data, outputs); err != nil || string(got) != "0" {
		t.Errorf("the product is %s, %v", got, err)
	}
}
