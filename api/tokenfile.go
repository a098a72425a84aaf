package api

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// maxTokenFile bounds what is read: maxTokens of the longest tokens fit twice.
const maxTokenFile = 1 << 20

// tokenFile is the file's content.
type tokenFile struct {
	Version int     `json:"version"`
	Tokens  []Token `json:"tokens"`
}

// readTokens reads the file at path and refuses what others could have read.
func readTokens(path string) ([]Token, os.FileInfo, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, nil, core.Errorf(core.Unavailable, "tokens", "opening the token file: %w", err)
	}
	defer root.Close()
	f, err := root.Open(filepath.Base(path))
	if err != nil {
		return nil, nil, core.Errorf(core.Unavailable, "tokens", "opening the token file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, core.Errorf(core.Unavailable, "tokens", "looking at the token file: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, nil, core.Errorf(core.Denied, "tokens", "token file %s has mode %s: others can read or change it", path, info.Mode()).
			WithHint("chmod 600 " + path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxTokenFile+1))
	if err != nil || len(b) > maxTokenFile {
		return nil, nil, core.Errorf(core.Corrupt, "tokens", "reading token file %s: %d bytes, error %v", path, len(b), err)
	}
	list, err := parseTokens(b)
	if err != nil {
		return nil, nil, core.Errorf(core.Corrupt, "tokens", "token file %s is damaged: %w", path, err).
			WithHint("restore it, or remove it and make new tokens")
	}
	return list, info, nil
}

func parseTokens(b []byte) ([]Token, error) {
	var file tokenFile
	if err := wire.DecodeStrictClosed(b, &file); err != nil {
		return nil, err
	}
	switch {
	case file.Version != 1:
		return nil, core.Errorf(core.Unsupported, "version", "its version is %d; this build knows 1", file.Version)
	case len(file.Tokens) > maxTokens:
		return nil, core.Errorf(core.Exhausted, "tokens", "it holds %d tokens, more than %d", len(file.Tokens), maxTokens)
	}
	for _, k := range file.Tokens {
		if !validID(k.ID) || k.SHA256.IsZero() {
			return nil, core.Errorf(core.Invalid, "tokens", "token %.40q has no usable id or digest", k.ID)
		}
		if err := errors.Join(validTokenName(k.Name), k.Limits.validate()); err != nil {
			return nil, core.Errorf(core.Invalid, "tokens", "token %.40q: %w", k.ID, err)
		}
	}
	return file.Tokens, nil
}

// change applies edit to the newest content under the file's lock, so that two
// processes never lose each other's tokens.
func (t *Tokens) change(edit func([]Token) ([]Token, error)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	root, err := os.OpenRoot(filepath.Dir(t.path))
	if err != nil {
		return core.Errorf(core.Unavailable, "tokens", "opening the token file's directory: %w", err)
	}
	defer root.Close()
	lock, err := root.OpenFile(filepath.Base(t.path)+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return core.Errorf(core.Unavailable, "tokens", "locking the token file: %w", err)
	}
	defer lock.Close() // releases the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return core.Errorf(core.Unavailable, "tokens", "locking the token file: %w", err)
	}
	if err := t.refresh(); err != nil {
		return err
	}
	list, err := edit(slices.Clone(t.list))
	if err != nil {
		return err
	}
	if err := writeTokens(root, filepath.Base(t.path), list); err != nil {
		return core.Errorf(core.Unavailable, "tokens", "writing the token file: %w", err)
	}
	return t.refresh()
}

// writeTokens replaces the file in one step: after a crash it is the old or the
// new one, whole.
func writeTokens(root *os.Root, name string, list []Token) error {
	b, err := json.MarshalIndent(tokenFile{Version: 1, Tokens: list}, "", "  ")
	if err != nil {
		return err
	}
	temp := name + ".new"
	if err := root.RemoveAll(temp); err != nil { // left behind by a crash
		return err
	}
	f, err := root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := root.Rename(temp, name); err != nil {
		return err
	}
	return syncDir(root)
}

// syncDir makes the rename itself durable.
func syncDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
