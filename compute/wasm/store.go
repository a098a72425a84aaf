package wasm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tenzro/tenzro/compute/wasm/convert"
)

// moduleKey names what was made of a module: the module and the conversion.
type moduleKey [sha256.Size]byte

// store is the child's side of the Cache. Everything in it may be missing, cut off
// or another's: what does not fit is made anew, and what cannot be written is left.
type store struct{ dir string } // empty: nothing is kept

const (
	convertedFile = "module.wasm"
	infoFile      = "info.json"
)

// entryDir is where what belongs to a module lies.
func (s store) entryDir(key moduleKey) string {
	if s.dir == "" {
		return ""
	}
	return filepath.Join(s.dir, fmt.Sprintf("%s-%d", hex.EncodeToString(key[:]), convert.Version))
}

// load returns a converted module that was kept whole.
func (s store) load(key moduleKey) (c convert.Converted, ok bool) {
	dir := s.entryDir(key)
	if dir == "" {
		return c, false
	}
	info, err := os.ReadFile(filepath.Join(dir, infoFile))
	if err != nil || json.Unmarshal(info, &c.Info) != nil || c.Info.Input != key || c.Info.Version != convert.Version {
		return convert.Converted{}, false
	}
	c.Code, err = os.ReadFile(filepath.Join(dir, convertedFile))
	if err != nil || sha256.Sum256(c.Code) != c.Info.Output {
		return convert.Converted{}, false
	}
	return c, true
}

// save keeps a converted module and reports whether it could.
func (s store) save(key moduleKey, c convert.Converted) bool {
	dir := s.entryDir(key)
	if dir == "" || os.MkdirAll(dir, 0o700) != nil {
		return false
	}
	info, err := json.Marshal(c.Info)
	return err == nil && write(dir, convertedFile, c.Code) == nil && write(dir, infoFile, info) == nil
}

// drop forgets a module.
func (s store) drop(key moduleKey) {
	if dir := s.entryDir(key); dir != "" {
		_ = os.RemoveAll(dir)
	}
}

// write replaces a file as a whole: nobody reads half of it.
func write(dir, name string, content []byte) error {
	f, err := os.CreateTemp(dir, name+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
