package node

import (
	"errors"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// TestAdmitWantsAnID: only the whole id of a node makes it a coordinator. A cut one,
// as tables of the documents show it, would be a member that nobody can be.
func TestAdmitWantsAnID(t *testing.T) {
	for name, id := range map[string]core.NodeID{
		"cut":               "12D3KooWLB",
		"a name":            "us-east",
		"one letter other":  "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXT0",
		"nothing":           "",
		"not in the limits": "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTNN",
	} {
		t.Run(name, func(t *testing.T) {
			err := (&keeper{}).Admit(t.Context(), id)
			var known *core.Error
			if !errors.As(err, &known) || known.Kind != core.Invalid || known.Op != "nodeId" || known.Hint == "" {
				t.Errorf("Admit(%q) = %v, want what is wrong with nodeId and what to do", id, err)
			}
		})
	}
}
