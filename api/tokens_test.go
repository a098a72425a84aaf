package api_test

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
)

// TestTokenLife: made by one process, used and revoked by another.
func TestTokenLife(t *testing.T) {
	path := tokensPath(t)
	cli, err := api.OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	node, err := api.OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	id, secret, err := cli.Create("laptop", api.TokenLimits{})
	if err != nil || !strings.HasPrefix(secret, "tz_") || len(secret) != 3+43 {
		t.Fatalf("secret of %d characters, error %v", len(secret), err)
	}
	got, err := node.Check(secret)
	if err != nil || got.ID != id || got.Name != "laptop" || got.Created.IsZero() {
		t.Errorf("the node found %+v, error %v", got, err)
	}
	raw, err := os.ReadFile(path)
	info, errStat := os.Stat(path)
	if err != nil || errStat != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, errors %v %v", info.Mode(), err, errStat)
	}
	if strings.Contains(string(raw), secret) || !strings.Contains(string(raw), core.Sum([]byte(secret)).String()) {
		t.Errorf("the file holds the secret, or not its digest: %s", raw)
	}
	if err := cli.Revoke(id); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Check(secret); !errors.Is(err, core.NotFound) {
		t.Errorf("after revoking: %v", err)
	}
	if err := cli.Revoke(id); !errors.Is(err, core.NotFound) {
		t.Errorf("revoking twice: %v", err)
	}
	for _, name := range []string{"", strings.Repeat("x", 65), "two\nlines", "\x1b[31m"} {
		if _, _, err := cli.Create(name, api.TokenLimits{}); !errors.Is(err, core.Invalid) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	if all, err := node.List(); err != nil || len(all) != 0 {
		t.Errorf("%d tokens left, error %v", len(all), err)
	}
}

// TestTokenFileThatIsWrong is refused, and a file that goes wrong while the
// node runs admits nobody.
func TestTokenFileThatIsWrong(t *testing.T) {
	digest := core.Sum([]byte("x")).String()
	good := `{"version":1,"tokens":[{"id":"a","name":"n","created":"2026-01-01T00:00:00Z","sha256":"` + digest + `"}]}`
	tests := []struct {
		name, content string
		mode          os.FileMode
		kind          core.Kind
	}{
		{"readable by the group", good, 0o640, core.Denied},
		{"writable by others", good, 0o602, core.Denied},
		{"empty", "", 0o600, core.Corrupt},
		{"cut", good[:40], 0o600, core.Corrupt},
		{"of another version", `{"version":2,"tokens":[]}`, 0o600, core.Corrupt},
		{"with an unknown field", `{"version":1,"tokens":[],"x":1}`, 0o600, core.Corrupt},
		{"with an id that is none", strings.Replace(good, `"a"`, `"a/b"`, 1), 0o600, core.Corrupt},
		{"without a digest", `{"version":1,"tokens":[{"id":"a","name":"n","created":"2026-01-01T00:00:00Z"}]}`, 0o600, core.Corrupt},
		{"huge", good + strings.Repeat(" ", 1<<20), 0o600, core.Corrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := tokensPath(t)
			running, err := api.OpenTokens(path)
			if err != nil {
				t.Fatal(err)
			}
			_, secret, err := running.Create("n", api.TokenLimits{})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := api.OpenTokens(path); core.KindOf(err) != tt.kind {
				t.Errorf("opening: %v", err)
			}
			if _, err := running.Check(secret); core.KindOf(err) != tt.kind {
				t.Errorf("checking: %v", err)
			}
			if _, _, err := running.Create("more", api.TokenLimits{}); core.KindOf(err) != tt.kind {
				t.Errorf("creating: %v", err)
			}
		})
	}
}

// TestTokenFileIsNoLink: a link planted in the home leads nowhere.
func TestTokenFileIsNoLink(t *testing.T) {
	path := tokensPath(t)
	if err := os.Symlink("/etc/passwd", path); err != nil {
		t.Fatal(err)
	}
	if _, err := api.OpenTokens(path); err == nil {
		t.Error("a link out of the home was followed")
	}
}

// TestTokensMadeAtOnce: concurrent writers never lose each other's tokens.
func TestTokensMadeAtOnce(t *testing.T) {
	path := tokensPath(t)
	const writers, each = 4, 3
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			tokens, err := api.OpenTokens(path) // its own store, as another process would have
			for range each {
				if err == nil {
					_, _, err = tokens.Create("n", api.TokenLimits{})
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	tokens, err := api.OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := tokens.List(); err != nil || len(all) != writers*each {
		t.Errorf("%d tokens, error %v", len(all), err)
	}
}
