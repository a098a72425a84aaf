package wasm

import (
	"io"
	"maps"
	"slices"

	exsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"
)

// handle is what an open file and an open directory share.
type handle struct {
	exsys.UnimplementedFile
	fs     *memFS
	node   *node
	closed bool
}

// Ino implements exsys.File.
func (h *handle) Ino() (sys.Inode, exsys.Errno) { return h.node.inode, 0 }

// IsDir implements exsys.File.
func (h *handle) IsDir() (bool, exsys.Errno) { return h.node.dir != nil, 0 }

// Stat implements exsys.File.
func (h *handle) Stat() (sys.Stat_t, exsys.Errno) { return h.node.stat(), 0 }

// Sync implements exsys.File.
func (h *handle) Sync() exsys.Errno { return 0 }

// Datasync implements exsys.File.
func (h *handle) Datasync() exsys.Errno { return 0 }

// Utimens implements exsys.File: there are no times to change.
func (h *handle) Utimens(_, _ int64) exsys.Errno { return 0 }

// Close implements exsys.File.
func (h *handle) Close() exsys.Errno {
	if !h.closed {
		h.closed = true
		h.fs.open--
		h.node.open--
		h.fs.release(h.node)
	}
	return 0
}

// position is a place in a file. It has a name of its own because vet takes a Seek
// of int64 for io.Seeker's.
type position = int64

// fileHandle is an open file.
type fileHandle struct {
	handle
	offset                 int64
	reads, writes, appends bool
}

var _ exsys.File = (*fileHandle)(nil)

// IsAppend implements exsys.File.
func (h *fileHandle) IsAppend() bool { return h.appends }

// SetAppend implements exsys.File.
func (h *fileHandle) SetAppend(enable bool) exsys.Errno {
	h.appends = enable
	return 0
}

// Read implements exsys.File.
func (h *fileHandle) Read(b []byte) (int, exsys.Errno) {
	n, errno := h.Pread(b, h.offset)
	h.offset += int64(n)
	return n, errno
}

// Pread implements exsys.File.
func (h *fileHandle) Pread(b []byte, at int64) (int, exsys.Errno) {
	switch {
	case !h.reads:
		return 0, exsys.EBADF
	case at < 0:
		return 0, exsys.EINVAL
	case at >= int64(len(h.node.data)):
		return 0, 0
	}
	n := copy(b, h.node.data[at:])
	h.fs.move(n)
	return n, 0
}

// Seek implements exsys.File.
func (h *fileHandle) Seek(offset position, whence int) (int64, exsys.Errno) {
	switch whence {
	case io.SeekCurrent:
		offset += h.offset
	case io.SeekEnd:
		offset += int64(len(h.node.data))
	}
	if offset < 0 || whence < io.SeekStart || whence > io.SeekEnd {
		return 0, exsys.EINVAL
	}
	h.offset = offset
	return offset, 0
}

// Write implements exsys.File.
func (h *fileHandle) Write(b []byte) (int, exsys.Errno) {
	if h.appends {
		h.offset = int64(len(h.node.data))
	}
	n, errno := h.Pwrite(b, h.offset)
	h.offset += int64(n)
	return n, errno
}

// Pwrite implements exsys.File. It is all or nothing.
func (h *fileHandle) Pwrite(b []byte, at int64) (int, exsys.Errno) {
	switch {
	case !h.writes || h.closed:
		return 0, exsys.EBADF
	case at < 0 || at > maxFSBytes:
		return 0, exsys.EINVAL
	}
	h.fs.move(len(b))
	if end := at + int64(len(b)); len(b) > 0 && end > int64(len(h.node.data)) {
		if errno := h.fs.resize(h.node, end); errno != 0 {
			return 0, errno
		}
	}
	return copy(h.node.data[min(at, int64(len(h.node.data))):], b), 0
}

// Truncate implements exsys.File.
func (h *fileHandle) Truncate(size int64) exsys.Errno {
	switch {
	case !h.writes || h.closed:
		return exsys.EBADF
	case size < 0:
		return exsys.EINVAL
	}
	return h.fs.resize(h.node, size)
}

// dirHandle is an open directory.
type dirHandle struct {
	handle
	names []string // sorted, as they were when reading began; nil before
	next  int
}

var _ exsys.File = (*dirHandle)(nil)

// Seek implements exsys.File: a directory can be read again from its beginning.
func (h *dirHandle) Seek(offset position, whence int) (int64, exsys.Errno) {
	if offset != 0 || whence != io.SeekStart {
		return 0, exsys.EINVAL
	}
	h.names, h.next = nil, 0
	return 0, 0
}

// Readdir implements exsys.File.
func (h *dirHandle) Readdir(n int) ([]exsys.Dirent, exsys.Errno) {
	if h.names == nil {
		h.fs.move(bytesPerFuel * len(h.node.dir) * 10)
		h.names = slices.Sorted(maps.Keys(h.node.dir))
	}
	var all []exsys.Dirent
	for h.next < len(h.names) && (n < 0 || len(all) < n) {
		name := h.names[h.next]
		h.next++
		if child := h.node.dir[name]; child != nil {
			all = append(all, exsys.Dirent{Ino: child.inode, Name: name, Type: child.mode().Type()})
		}
	}
	return all, 0
}

// Read implements exsys.File.
func (h *dirHandle) Read([]byte) (int, exsys.Errno) { return 0, exsys.EISDIR }

// Pread implements exsys.File.
func (h *dirHandle) Pread([]byte, int64) (int, exsys.Errno) { return 0, exsys.EISDIR }

// Write implements exsys.File.
func (h *dirHandle) Write([]byte) (int, exsys.Errno) { return 0, exsys.EISDIR }

// Pwrite implements exsys.File.
func (h *dirHandle) Pwrite([]byte, int64) (int, exsys.Errno) { return 0, exsys.EISDIR }

// Truncate implements exsys.File.
func (h *dirHandle) Truncate(int64) exsys.Errno { return exsys.EISDIR }
