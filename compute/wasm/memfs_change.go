package wasm

import (
	"io/fs"
	"slices"
	"strings"

	exsys "github.com/tetratelabs/wazero/experimental/sys"

	"github.com/tenzro/tenzro/compute/program"
)

// Mkdir implements exsys.FS.
func (f *memFS) Mkdir(raw string, _ fs.FileMode) exsys.Errno {
	_, errno := f.create(raw, true)
	if errno == exsys.EPERM { // it is the root
		return exsys.EEXIST
	}
	return errno
}

// Unlink implements exsys.FS.
func (f *memFS) Unlink(raw string) exsys.Errno {
	dir, name, slash, errno := f.parent(raw)
	if errno != 0 {
		return errno
	}
	switch n := dir.dir[name]; {
	case n == nil:
		return exsys.ENOENT
	case n.dir != nil:
		return exsys.EISDIR
	case slash:
		return exsys.ENOTDIR
	case n.granted:
		return exsys.EROFS
	default:
		f.remove(dir, name, n)
		return 0
	}
}

// remove takes an entry out. Whoever has the file open keeps it, and it counts
// until it is closed.
func (f *memFS) remove(dir *node, name string, n *node) {
	delete(dir.dir, name)
	n.unlinked = true
	f.release(n)
}

// release gives back the room of a node that nobody can reach.
func (f *memFS) release(n *node) {
	if n.unlinked && n.open == 0 {
		f.nodes--
		f.bytes -= int64(len(n.data))
	}
}

// Rmdir implements exsys.FS.
func (f *memFS) Rmdir(raw string) exsys.Errno {
	dir, name, _, errno := f.parent(raw)
	if errno != 0 {
		return errno
	}
	switch n := dir.dir[name]; {
	case n == nil:
		return exsys.ENOENT
	case n.dir == nil:
		return exsys.ENOTDIR
	case len(n.dir) > 0:
		return exsys.ENOTEMPTY
	case n.granted:
		return exsys.EROFS
	default:
		f.remove(dir, name, n)
		return 0
	}
}

// Rename implements exsys.FS. What is at the new name already is replaced, if it
// is of the same kind.
func (f *memFS) Rename(from, to string) exsys.Errno {
	dir, name, _, errno := f.parent(from)
	if errno != 0 {
		return errno
	}
	n := dir.dir[name]
	if n == nil {
		return exsys.ENOENT
	}
	target, newName, slash, errno := f.parent(to)
	switch {
	case errno != 0:
		return errno
	case n.granted:
		return exsys.EROFS
	case slash && n.dir == nil:
		return exsys.ENOTDIR
	case dir == target && name == newName:
		return 0
	}
	if errno := f.makeWay(n, target.dir[newName]); errno != 0 {
		return errno
	}
	if n.dir != nil && !f.fits(n, from, to) {
		return exsys.EINVAL
	}
	if old := target.dir[newName]; old != nil {
		f.remove(target, newName, old)
	}
	delete(dir.dir, name)
	target.dir[newName] = n
	return 0
}

// makeWay says why old may not be replaced by n.
func (f *memFS) makeWay(n, old *node) exsys.Errno {
	switch {
	case old == nil:
		return 0
	case old.granted:
		return exsys.EROFS
	case n.dir == nil && old.dir != nil:
		return exsys.EISDIR
	case n.dir != nil && old.dir == nil:
		return exsys.ENOTDIR
	case len(old.dir) > 0:
		return exsys.ENOTEMPTY
	}
	return 0
}

// fits reports whether a directory may move: not into itself, and not so deep that
// what is in it has paths too long.
func (f *memFS) fits(n *node, from, to string) bool {
	f.move(bytesPerFuel * f.nodes)
	source, _, _ := split(from)
	target, _, errno := split(to)
	if errno != 0 || len(target) > len(source) && slices.Equal(target[:len(source)], source) {
		return false
	}
	return within(n, strings.Join(target, "/"))
}

// within reports whether everything below a directory has a good path when the
// directory has the given one.
func within(n *node, at string) bool {
	for name, child := range n.dir {
		if below := at + "/" + name; program.BadPath(below) != "" || !within(child, below) {
			return false
		}
	}
	return true
}

// Chmod implements exsys.FS: there are no permissions to change.
func (f *memFS) Chmod(raw string, _ fs.FileMode) exsys.Errno {
	_, errno := f.find(raw)
	return errno
}

// Utimens implements exsys.FS: there are no times to change.
func (f *memFS) Utimens(raw string, _, _ int64) exsys.Errno {
	_, errno := f.find(raw)
	return errno
}
