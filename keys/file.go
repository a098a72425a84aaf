package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tenzro/tenzro/core"
)

const (
	pemType = "PRIVATE KEY" // PKCS#8, RFC 5958 and RFC 8410
	// maxFileSize bounds what is read: an Ed25519 key file has 119 bytes, a large
	// RSA key, which deserves its own message, about 13 KiB.
	maxFileSize = 16 << 10
	privateMode = fs.FileMode(0o600)
	othersMode  = fs.FileMode(0o077)
)

// LoadOrCreate returns the identity kept in path and makes one when there is no
// file. The directory must exist. Processes that race for the same path all
// return the identity of the one that came first.
func LoadOrCreate(path string) (*Identity, error) {
	id, err := Load(path)
	if !errors.Is(err, core.NotFound) {
		return id, err
	}
	if id, err = Generate(); err != nil {
		return nil, err
	}
	if err := create(path, id); err != nil && !errors.Is(err, core.Exists) {
		return nil, err
	}
	return Load(path)
}

// Load returns the identity kept in path. The error is core.NotFound when there
// is no file, core.Denied when others may read it, core.Corrupt when it is
// damaged, core.Unsupported when it holds a key of another kind.
func Load(path string) (*Identity, error) {
	data, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	private, err := parse(data)
	if err != nil {
		return nil, core.Errorf(core.KindOf(err), "load identity", "identity file %s %w", path, err).
			WithHint("restore the file from a backup, or move it away to get a new identity")
	}
	return newIdentity(private), nil
}

// readPrivate reads a file after checking, on the open file itself, that it is a
// plain file that only its owner can read. O_NONBLOCK keeps a named pipe in its
// place from hanging the start.
func readPrivate(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, core.Errorf(core.NotFound, "load identity", "there is no identity file %s", path)
	case err != nil:
		return nil, core.Errorf(core.Denied, "load identity", "reading identity file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, core.Errorf(core.Unavailable, "load identity", "reading identity file: %w", err)
	}
	if err := checkFile(path, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize))
	if err != nil {
		return nil, core.Errorf(core.Unavailable, "load identity", "reading identity file: %w", err)
	}
	return data, nil
}

func checkFile(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return core.Errorf(core.Corrupt, "load identity", "identity file %s is not a regular file", path)
	}
	if info.Size() > maxFileSize {
		return core.Errorf(core.Corrupt, "load identity", "identity file %s has %d bytes; a key has at most %d", path, info.Size(), maxFileSize)
	}
	if mode := info.Mode().Perm(); mode&othersMode != 0 {
		return core.Errorf(core.Denied, "load identity", "identity file %s can be accessed by others (mode %04o)", path, mode).
			WithHint("run: chmod 600 " + path)
	}
	return nil
}

// parse accepts exactly one PEM block and nothing around it but white space.
func parse(data []byte) (ed25519.PrivateKey, error) {
	if !bytes.HasPrefix(data, []byte("-----BEGIN ")) {
		return nil, core.Errorf(core.Corrupt, "parse identity", "does not start with a PEM block")
	}
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return nil, core.Errorf(core.Corrupt, "parse identity", "holds a damaged PEM block")
	case len(bytes.TrimSpace(rest)) > 0 || len(block.Headers) > 0:
		return nil, core.Errorf(core.Corrupt, "parse identity", "holds more than one plain PEM block")
	case block.Type != pemType:
		return nil, core.Errorf(core.Unsupported, "parse identity", "holds a PEM block %.40q, not %q", block.Type, pemType)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, core.Errorf(core.Corrupt, "parse identity", "holds no valid PKCS#8 key: %w", err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, core.Errorf(core.Unsupported, "parse identity", "holds a %T, not an Ed25519 key", key)
	}
	return private, nil
}

func encode(id *Identity) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(id.private)
	if err != nil {
		return nil, fmt.Errorf("encoding key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// create puts id into path, which must not exist (core.Exists). The key is
// complete and on disk under a temporary name before a hard link, which never
// replaces anything, gives it its own: a crash leaves the whole file or none.
func create(path string, id *Identity) error {
	data, err := encode(id)
	if err != nil {
		return core.Errorf(core.Internal, "create identity", "creating identity file %s: %w", path, err)
	}
	temp, err := writeTemp(path, data)
	if err != nil {
		return core.Errorf(core.Unavailable, "create identity", "creating identity file %s: %w", path, err).
			WithHint("check that the directory exists, is writable and has space")
	}
	defer os.Remove(temp)
	err = os.Link(temp, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return core.Errorf(core.Unavailable, "create identity", "creating identity file %s: %w", path, err).
			WithHint("keep the home directory on a file system with hard links and Unix permissions")
	}
	// The loser of a race syncs as well: it is about to use the winner's file.
	if syncErr := syncDir(filepath.Dir(path)); syncErr != nil {
		return core.Errorf(core.Unavailable, "create identity", "creating identity file %s: %w", path, syncErr)
	}
	if err != nil {
		return core.Errorf(core.Exists, "create identity", "identity file %s exists already", path)
	}
	return nil
}

// writeTemp writes data to a new file beside path (O_EXCL, mode 0600), waits
// until it is on disk and returns its name. On failure nothing is left behind.
func writeTemp(path string, data []byte) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return "", err
	}
	err = f.Chmod(privateMode)
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
