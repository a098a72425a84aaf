package nearest_test

import (
	"strings"
	"testing"

	"github.com/tenzro/tenzro/internal/nearest"
)

func TestWord(t *testing.T) {
	words := []string{"region", "role", "p2p-port", "http"}
	tests := map[string]string{"regoin": "region", "roles": "role", "port": "p2p-port", "htp": "http", "banana": "",
		"": "", "x": "", strings.Repeat("r", 1000): ""}
	for word, want := range tests {
		if got, _ := nearest.Word(word, words); got != want {
			t.Errorf("Word(%.20q) = %q, want %q", word, got, want)
		}
	}
}
