package wasm

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	exsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"

	"github.com/tenzro/tenzro/compute/program"
)

// Bounds of what a program can make below "/".
const (
	maxFSBytes = 64 << 20 // of all files it made
	maxNodes   = 4096     // files and directories
	maxOpen    = 1024     // at a time
	maxRawPath = 4 * program.MaxPathBytes
)

// memFS is the file system of one guest, in memory: what the task grants, which
// can only be read, and what the guest makes. It has no links, no permissions and
// no times. It is used by one goroutine.
type memFS struct {
	exsys.UnimplementedFS
	root  *node
	move  func(n int) // charges for bytes
	nodes int
	inode uint64
	open  int
	bytes int64 // of files the guest made
}

var _ exsys.FS = (*memFS)(nil)

// node is a file or directory.
type node struct {
	inode   uint64
	dir     map[string]*node // nil for files
	data    []byte
	granted bool // only to be read

	open     int  // handles
	unlinked bool // no entry leads to it
}

func newMemFS(move func(n int)) *memFS {
	f := &memFS{move: move}
	f.root = f.make(true)
	return f
}

func (f *memFS) make(dir bool) *node {
	f.inode++
	f.nodes++
	n := &node{inode: f.inode}
	if dir {
		n.dir = map[string]*node{}
	}
	return n
}

// grant puts a file there that can only be read. The path is one that program.BadPath
// accepts.
func (f *memFS) grant(name string, content []byte) error {
	dir := f.root
	parts := strings.Split(name, "/")
	for _, p := range parts[:len(parts)-1] {
		next := dir.dir[p]
		if next == nil {
			next = f.make(true)
			next.granted = true
			dir.dir[p] = next
		}
		if dir = next; dir.dir == nil {
			return exsys.ENOTDIR
		}
	}
	last := parts[len(parts)-1]
	if dir.dir[last] != nil {
		return exsys.EEXIST
	}
	n := f.make(false)
	n.data, n.granted = content, true
	dir.dir[last] = n
	return nil
}

// made returns the files that the guest made and left, by path, and how many
// bytes they have.
func (f *memFS) made() (files map[string][]byte, total int64) {
	files = map[string][]byte{}
	f.collect(f.root, "", files)
	for _, content := range files {
		total += int64(len(content))
	}
	return files, total
}

func (f *memFS) collect(dir *node, prefix string, into map[string][]byte) {
	for _, name := range slices.Sorted(maps.Keys(dir.dir)) {
		switch n := dir.dir[name]; {
		case n.dir != nil:
			f.collect(n, prefix+name+"/", into)
		case !n.granted:
			into[prefix+name] = n.data
		}
	}
}

// split returns the cleaned parts of a path; slash is whether it must be a
// directory.
func split(raw string) (parts []string, slash bool, errno exsys.Errno) {
	if len(raw) > maxRawPath {
		return nil, false, exsys.ENAMETOOLONG
	}
	clean := strings.TrimPrefix(path.Clean("/"+raw), "/")
	if clean == "" {
		return nil, true, 0
	}
	if program.BadPath(clean) != "" {
		return nil, false, exsys.EINVAL
	}
	return strings.Split(clean, "/"), strings.HasSuffix(raw, "/"), 0
}

// find returns the node of a path.
func (f *memFS) find(raw string) (*node, exsys.Errno) {
	parts, slash, errno := split(raw)
	if errno != 0 {
		return nil, errno
	}
	n, errno := f.walk(parts)
	if errno == 0 && slash && n.dir == nil {
		return nil, exsys.ENOTDIR
	}
	return n, errno
}

func (f *memFS) walk(parts []string) (*node, exsys.Errno) {
	n := f.root
	for _, p := range parts {
		if n.dir == nil {
			return nil, exsys.ENOTDIR
		}
		if n = n.dir[p]; n == nil {
			return nil, exsys.ENOENT
		}
	}
	return n, 0
}

// parent returns the directory that a path is an entry of, and the entry's name.
func (f *memFS) parent(raw string) (dir *node, name string, slash bool, errno exsys.Errno) {
	parts, slash, errno := split(raw)
	if errno != 0 {
		return nil, "", false, errno
	}
	if len(parts) == 0 {
		return nil, "", false, exsys.EPERM
	}
	dir, errno = f.walk(parts[:len(parts)-1])
	if errno == 0 && dir.dir == nil {
		errno = exsys.ENOTDIR
	}
	return dir, parts[len(parts)-1], slash, errno
}

// OpenFile implements exsys.FS.
func (f *memFS) OpenFile(raw string, flag exsys.Oflag, _ fs.FileMode) (exsys.File, exsys.Errno) {
	if f.open >= maxOpen {
		return nil, exsys.EBADF
	}
	n, errno := f.openNode(raw, flag)
	if errno != 0 {
		return nil, errno
	}
	f.open++
	n.open++
	if n.dir != nil {
		return &dirHandle{handle: handle{fs: f, node: n}}, 0
	}
	writes := flag&(exsys.O_RDWR|exsys.O_WRONLY) != 0
	return &fileHandle{handle: handle{fs: f, node: n}, reads: flag&exsys.O_WRONLY == 0, writes: writes, appends: flag&exsys.O_APPEND != 0}, 0
}

func (f *memFS) openNode(raw string, flag exsys.Oflag) (*node, exsys.Errno) {
	n, errno := f.find(raw)
	writes := flag&(exsys.O_RDWR|exsys.O_WRONLY) != 0
	switch {
	case errno == exsys.ENOENT && flag&exsys.O_CREAT != 0:
		return f.create(raw, false)
	case errno != 0:
		return nil, errno
	case flag&exsys.O_CREAT != 0 && flag&exsys.O_EXCL != 0:
		return nil, exsys.EEXIST
	case flag&exsys.O_DIRECTORY != 0 && n.dir == nil:
		return nil, exsys.ENOTDIR
	case n.dir != nil && writes:
		return nil, exsys.EISDIR
	case n.granted && n.dir == nil && (writes || flag&exsys.O_TRUNC != 0):
		return nil, exsys.EROFS
	case flag&exsys.O_TRUNC != 0 && n.dir == nil:
		return n, f.resize(n, 0)
	}
	return n, 0
}

// create makes a file or directory.
func (f *memFS) create(raw string, dir bool) (*node, exsys.Errno) {
	d, name, slash, errno := f.parent(raw)
	switch {
	case errno != 0:
		return nil, errno
	case slash && !dir:
		return nil, exsys.EISDIR
	case d.dir[name] != nil:
		return nil, exsys.EEXIST
	case f.nodes >= maxNodes:
		return nil, exsys.EIO
	}
	n := f.make(dir)
	d.dir[name] = n
	return n, 0
}

// resize changes the length of a file that the guest made, within the bound of
// all of them; new bytes are zero.
func (f *memFS) resize(n *node, size int64) exsys.Errno {
	delta := size - int64(len(n.data))
	if size < 0 || f.bytes+delta > maxFSBytes {
		return exsys.EIO
	}
	f.bytes += delta
	if delta > 0 {
		f.move(int(delta))
		if size > int64(cap(n.data)) {
			next := make([]byte, len(n.data), max(size, 2*int64(cap(n.data))))
			copy(next, n.data)
			n.data = next
		}
		old := len(n.data)
		n.data = n.data[:size]
		clear(n.data[old:])
		return 0
	}
	if n.data = n.data[:size]; size == 0 {
		n.data = nil
	}
	return 0
}

// Stat implements exsys.FS.
func (f *memFS) Stat(raw string) (sys.Stat_t, exsys.Errno) {
	n, errno := f.find(raw)
	if errno != 0 {
		return sys.Stat_t{}, errno
	}
	return n.stat(), 0
}

// Lstat implements exsys.FS.
func (f *memFS) Lstat(raw string) (sys.Stat_t, exsys.Errno) { return f.Stat(raw) }

func (n *node) stat() sys.Stat_t {
	return sys.Stat_t{Ino: n.inode, Nlink: 1, Size: int64(len(n.data)), Mode: n.mode()}
}

func (n *node) mode() fs.FileMode {
	mode := fs.FileMode(0o600)
	if n.dir != nil {
		mode = fs.ModeDir | 0o700
	}
	if n.granted {
		mode &^= 0o200
	}
	return mode
}
