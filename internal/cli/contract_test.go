package cli

import (
	"encoding/json"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
	"github.com/tenzro/tenzro/node"
)

// TestRuntimeIsWhatNodesWrite: runtime.json reads back field by field.
func TestRuntimeIsWhatNodesWrite(t *testing.T) {
	text, err := json.Marshal(node.Runtime{PID: 1, PeerID: "p", Addrs: []string{"a"}, Bootstrap: "b", HTTP: "h", Metrics: "m",
		Roles: []string{"global"}, Region: "r", Network: "n"})
	if err != nil {
		t.Fatal(err)
	}
	var r client.Runtime
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(r)
	if err != nil || string(again) != string(text) || client.RuntimeFile != node.RuntimeFile || r.PeerID != core.NodeID("p") {
		t.Errorf("wrote %s, read %s (%v)", text, again, err)
	}
}
