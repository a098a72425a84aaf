package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/node"
)

// TestLogs: JSON goes to the home's logs directory whatever stderr shows, for
// the owner's eyes only, and the level holds for both.
//
// spec 0.75 0.76
func TestLogs(t *testing.T) {
	tests := map[string]struct {
		level, format string
		lines         int
		jsonOnStderr  bool
	}{
		"info, not a terminal": {"info", "auto", 3, true},
		"console asked for":    {"info", "console", 3, false},
		"errors only":          {"error", "json", 1, true},
		"warn":                 {"warn", "json", 2, true},
		"debug":                {"debug", "json", 4, true},
		"trace":                {"trace", "json", 5, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			home, stderr := t.TempDir(), new(bytes.Buffer)
			log, err := newLogger(node.LogConfig{Level: tt.level, Format: tt.format}, home, stderr)
			if err != nil {
				t.Fatal(err)
			}
			log.Error().Msg("e")
			log.Warn().Msg("w")
			log.Info().Str("node_id", "12D3").Msg("i")
			log.Debug().Msg("d")
			log.Trace().Msg("t")
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(home, "logs", "tenzro.log")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if lines := bytes.Count(text, []byte("\n")); lines != tt.lines || bytes.Count(stderr.Bytes(), []byte("\n")) != tt.lines {
				t.Errorf("%d lines in the file, stderr %q, want %d", lines, stderr, tt.lines)
			}
			for line := range bytes.Lines(text) {
				var fields map[string]any
				if err := json.Unmarshal(line, &fields); err != nil || fields["level"] == nil || !strings.HasSuffix(fields["time"].(string), "Z") {
					t.Errorf("line %s: %v", line, err)
				}
			}
			if got := json.Valid(bytes.SplitN(stderr.Bytes(), []byte("\n"), 2)[0]); got != tt.jsonOnStderr {
				t.Errorf("stderr %q: JSON %v, want %v", stderr, got, tt.jsonOnStderr)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, error %v", info.Mode(), err)
			}
		})
	}
}

// TestLogsRotate: the file never grows past its bound, and old ones are kept.
//
// spec 0.75
func TestLogsRotate(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, "logs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	full, err := os.Create(filepath.Join(dir, "tenzro.log"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(full.Truncate(logMegabytes<<20), full.Close()); err != nil {
		t.Fatal(err)
	}
	log, err := newLogger(node.LogConfig{Level: "info", Format: "json"}, home, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	log.Info().Msg("first line of the new file")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, error %v", files, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "tenzro.log")); err != nil || info.Size() > 1000 {
		t.Errorf("size %d, error %v", info.Size(), err)
	}
}

// TestNoPlaceForLogs: a node that could not log says so at its start.
func TestNoPlaceForLogs(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "logs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := newLogger(node.LogConfig{Level: "info"}, home, new(bytes.Buffer))
	if !errors.Is(err, core.Unavailable) || hintOf(err) == "" {
		t.Errorf("error %v", err)
	}
}
