package cli

import (
	"runtime/debug"
	"testing"
)

// TestVersion: the linker wins, then what the Go tool recorded.
//
// spec 1.68
func TestVersion(t *testing.T) {
	recorded := &debug.BuildInfo{Main: debug.Module{Version: "v0.9.0"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.time", Value: "2026-11-20T00:00:00Z"}}}
	tests := map[string]struct {
		linked   string
		recorded *debug.BuildInfo
		version  string
		commit   string
	}{
		"linked":           {"v1.2.3", recorded, "v1.2.3", "0123456789abcdef"},
		"installed by go":  {"", recorded, "v0.9.0", "0123456789abcdef"},
		"built in a clone": {"", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "devel", ""},
		"nothing recorded": {"", nil, "devel", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := describeBuild(tt.linked, tt.recorded)
			if b.Version != tt.version || b.Commit != tt.commit || b.Go == "" || b.System == "" {
				t.Errorf("build %+v", b)
			}
		})
	}
}
