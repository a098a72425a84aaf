package node

import (
	"strings"
	"testing"
)

// TestVersionOf: what peers say of their software is believed when it is ours and
// plain, and never shown otherwise.
func TestVersionOf(t *testing.T) {
	long := strings.Repeat("v", maxVersion)
	for agent, want := range map[string]string{"tenzro/v1.2.3": "v1.2.3", "tenzro/" + long: long, "tenzro/" + long + "v": "", "tenzro/": "", "": "", "tenzro": "",
		"kubo/0.29": "", "tenzro/v1 ok": "", "tenzro/v1\x1b[2J": "", "tenzro/v\u00e9": "", "tenzro/v1\n": ""} {
		if got := versionOf(agent); got != want {
			t.Errorf("%q is version %q, want %q", agent, got, want)
		}
	}
}
