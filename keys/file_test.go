package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoadOrCreateKeepsTheIdentity(t *testing.T) {
	old := syscall.Umask(0) // the mode must not depend on the umask
	defer syscall.Umask(old)
	dir := t.TempDir()
	path := filepath.Join(dir, "identity.pem")
	first, err := LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadOrCreate(path)
	if err != nil || again.ID() != first.ID() {
		t.Errorf("second start: %v, %v, want %v", again, err, first)
	}
	if loaded, err := Load(path); err != nil || loaded.ID() != first.ID() {
		t.Errorf("Load: %v, %v, want %v", loaded, err, first)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files in the directory, want only the identity", len(files))
	}
}

// A file made once must stay readable by every later version.
func TestGoldenFile(t *testing.T) {
	want, err := os.ReadFile("testdata/identity.pem")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "identity.pem")
	if err := create(path, FromSeed(seed(1))); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v; the file is\n%s", err, got)
	}
	id, err := Load(path)
	if err != nil || id.ID() != FromSeed(seed(1)).ID() {
		t.Errorf("Load = %v, %v", id, err)
	}
}

func TestRacingStartsAgree(t *testing.T) {
	const starts = 16
	dir := t.TempDir()
	path := filepath.Join(dir, "identity.pem")
	var ids [starts]core.NodeID
	var wg sync.WaitGroup
	for i := range starts {
		wg.Go(func() {
			id, err := LoadOrCreate(path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = id.ID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("two identities: %s and %s", id, ids[0])
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files left, want 1", len(files))
	}
}

func TestCreateNeverReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.pem")
	if err := create(path, FromSeed(seed(1))); err != nil {
		t.Fatal(err)
	}
	if err := create(path, FromSeed(seed(2))); !errors.Is(err, core.Exists) {
		t.Errorf("create = %v, want exists", err)
	}
	if id, err := Load(path); err != nil || id.ID() != FromSeed(seed(1)).ID() {
		t.Errorf("the first identity is gone: %v, %v", id, err)
	}
}

// What a crash while creating leaves is a temporary file, which is never used.
func TestLeftoverOfACrashIsIgnored(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "identity.pem")
	if err := os.WriteFile(filepath.Join(dir, ".identity.pem.123.tmp"), []byte("-----BEGIN PRI"), 0o600); err != nil {
		t.Fatal(err)
	}
	if id, err := LoadOrCreate(path); err != nil {
		t.Errorf("%v, %v", id, err)
	}
}

func ecKey(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
}

func TestLoadRefusesContent(t *testing.T) {
	good, err := os.ReadFile("testdata/identity.pem")
	if err != nil {
		t.Fatal(err)
	}
	text := string(good)
	for name, c := range map[string]struct {
		data string
		want core.Kind
		says string
	}{
		"empty":              {"", core.Corrupt, "does not start with a PEM block"},
		"half written":       {text[:60], core.Corrupt, "damaged"},
		"a digit changed":    {strings.Replace(text, "MC4", "MD4", 1), core.Corrupt, "PKCS#8"},
		"text before":        {"my key\n" + text, core.Corrupt, "does not start"},
		"text after":         {text + "more", core.Corrupt, "more than one"},
		"two keys":           {text + text, core.Corrupt, "more than one"},
		"PEM headers":        {strings.Replace(text, "-----\n", "-----\nA: b\n\n", 1), core.Corrupt, "more than one plain"},
		"another block type": {strings.ReplaceAll(text, pemType, "OPENSSH PRIVATE KEY"), core.Unsupported, "OPENSSH PRIVATE KEY"},
		"another algorithm":  {string(ecKey(t)), core.Unsupported, "not an Ed25519 key"},
		"too large":          {text + strings.Repeat("\n", maxFileSize), core.Corrupt, "bytes"},
		"zeroes":             {strings.Repeat("\x00", 119), core.Corrupt, "does not start"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "identity.pem")
			if err := os.WriteFile(path, []byte(c.data), 0o600); err != nil {
				t.Fatal(err)
			}
			// LoadOrCreate must not paper over damage with a new identity.
			for _, load := range []func(string) (*Identity, error){Load, LoadOrCreate} {
				_, err := load(path)
				if core.KindOf(err) != c.want || err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
					t.Errorf("error %v (%s), want %s that names the file and says %q", err, core.KindOf(err), c.want, c.says)
				}
				if err != nil && strings.Contains(err.Error(), "MC4CAQAwBQYDK2VwBCIEI") {
					t.Errorf("the error shows the key: %v", err)
				}
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != c.data {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

func TestLoadRefusesAFileOthersCanAccess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.pem")
	id, err := LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o644, 0o620, 0o610, 0o666, 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		var e *core.Error
		if !errors.As(err, &e) || e.Kind != core.Denied {
			t.Errorf("mode %o: %v, want denied", mode, err)
			continue
		}
		if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "0"+modeText(mode)) || e.Hint != "run: chmod 600 "+path {
			t.Errorf("mode %o: %q, hint %q", mode, err, e.Hint)
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if got, err := Load(path); err != nil || got.ID() != id.ID() {
			t.Errorf("mode %o: %v, %v", mode, got, err)
		}
	}
}

func modeText(m fs.FileMode) string {
	return string([]byte{'0' + byte(m>>6&7), '0' + byte(m>>3&7), '0' + byte(m&7)})
}

func TestLoadRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path string
		want core.Kind
	}{
		"missing":           {filepath.Join(dir, "none"), core.NotFound},
		"directory":         {dir, core.Corrupt},
		"named pipe":        {pipe, core.Corrupt},
		"missing directory": {filepath.Join(dir, "none", "identity.pem"), core.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Load(c.path); core.KindOf(err) != c.want || err == nil {
				t.Errorf("Load = %v, want %s", err, c.want)
			}
		})
	}
	_, err := LoadOrCreate(filepath.Join(dir, "none", "identity.pem"))
	if core.KindOf(err) != core.Unavailable {
		t.Errorf("creating in a missing directory: %v, want unavailable", err)
	}
}

func FuzzParse(f *testing.F) {
	good, err := os.ReadFile("testdata/identity.pem")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:60])
	f.Add(append(bytes.Clone(good), good...))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		private, err := parse(data)
		if err != nil {
			if k := core.KindOf(err); k != core.Corrupt && k != core.Unsupported {
				t.Fatalf("%s: %v", k, err)
			}
			return
		}
		id := newIdentity(private)
		encoded, err := encode(id)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(encoded)
		if err != nil || newIdentity(again).ID() != id.ID() {
			t.Fatalf("does not survive a round trip: %v", err)
		}
	})
}
