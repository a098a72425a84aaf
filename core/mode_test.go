package core_test

import (
	"errors"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// TestMode: the three modes of the documents' migration, by name, the first the
// default.
//
// spec 2.38 2.39 2.40
func TestMode(t *testing.T) {
	for _, c := range []struct {
		name                   string
		mode                   core.Mode
		coordinated, peerFirst bool
	}{{"hybrid", core.ModeHybrid, true, false}, {"p2p-primary", core.ModeP2PPrimary, true, true}, {"p2p", core.ModeP2P, false, true}} {
		m, err := core.ParseMode(c.name)
		if err != nil || m != c.mode || m.String() != c.name || m.Coordinated() != c.coordinated || m.PeerFirst() != c.peerFirst {
			t.Errorf("%s: %v, %v", c.name, m, err)
		}
	}
	if len(core.Modes()) != 3 || core.Mode(0) != core.ModeHybrid || core.Mode(7).String() != "mode_7" {
		t.Errorf("modes %v, default %v", core.Modes(), core.Mode(0))
	}
	for _, bad := range []string{"", "P2P", "central", "hybrid "} {
		if _, err := core.ParseMode(bad); !errors.Is(err, core.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
