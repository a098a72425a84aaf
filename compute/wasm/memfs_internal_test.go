package wasm

import (
	"errors"
	"fmt"
	"testing"

	exsys "github.com/tetratelabs/wazero/experimental/sys"
)

// grown is a file system with one granted file and no charge.
func grown(t testing.TB) *memFS {
	t.Helper()
	f := newMemFS(func(int) {})
	if err := f.grant("data/in", []byte("given")); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestMemFS has the errors of single calls; TestWASI has whole programs.
func TestMemFS(t *testing.T) {
	f := grown(t)
	open := func(name string, flag exsys.Oflag) exsys.Errno {
		h, errno := f.OpenFile(name, flag, 0)
		if errno == 0 {
			errno = h.Close()
		}
		return errno
	}
	for i, c := range []struct {
		what      string
		got, want exsys.Errno
	}{
		{"read given", open("data/in", exsys.O_RDONLY), 0},
		{"write given", open("data/in", exsys.O_RDWR), exsys.EROFS},
		{"truncate given", open("data/in", exsys.O_TRUNC), exsys.EROFS},
		{"read nothing", open("no", exsys.O_RDONLY), exsys.ENOENT},
		{"read below a file", open("data/in/x", exsys.O_RDONLY), exsys.ENOTDIR},
		{"a file with a slash", open("data/in/", exsys.O_RDONLY), exsys.ENOTDIR},
		{"create", open("a", exsys.O_CREAT|exsys.O_RDWR), 0},
		{"create again", open("a", exsys.O_CREAT|exsys.O_EXCL), exsys.EEXIST},
		{"create with a slash", open("b/", exsys.O_CREAT), exsys.EISDIR},
		{"create beside the given", open("data/out", exsys.O_CREAT|exsys.O_RDWR), 0},
		{"write a directory", open("data", exsys.O_RDWR), exsys.EISDIR},
		{"a file as a directory", open("a", exsys.O_DIRECTORY), exsys.ENOTDIR},
		{"the root", open(".", exsys.O_DIRECTORY), 0},
		{"above the root", open("../../data/in", exsys.O_RDONLY), 0}, // the engine refuses it before; here "/.." is "/"
		{"a bad name", open("a\x00b", exsys.O_CREAT), exsys.EINVAL},
		{"a long name", open(string(make([]byte, maxRawPath+1)), exsys.O_CREAT), exsys.ENAMETOOLONG},
		{"mkdir root", f.Mkdir("/", 0), exsys.EEXIST},
		{"mkdir", f.Mkdir("d", 0), 0},
		{"mkdir again", f.Mkdir("d", 0), exsys.EEXIST},
		{"mkdir in a file", f.Mkdir("a/d", 0), exsys.ENOTDIR},
		{"unlink given", f.Unlink("data/in"), exsys.EROFS},
		{"unlink directory", f.Unlink("d"), exsys.EISDIR},
		{"unlink nothing", f.Unlink("no"), exsys.ENOENT},
		{"rmdir given", f.Rmdir("data"), exsys.ENOTEMPTY},
		{"rmdir file", f.Rmdir("a"), exsys.ENOTDIR},
		{"rename given", f.Rename("data/in", "x"), exsys.EROFS},
		{"rename given directory", f.Rename("data", "x"), exsys.EROFS},
		{"rename over given", f.Rename("a", "data/in"), exsys.EROFS},
		{"rename over a directory", f.Rename("a", "d"), exsys.EISDIR},
		{"rename a directory over a file", f.Rename("d", "a"), exsys.ENOTDIR},
		{"rename into itself", f.Rename("d", "d/e"), exsys.EINVAL},
		{"rename to itself", f.Rename("d", "d"), 0},
		{"rename nothing", f.Rename("no", "x"), exsys.ENOENT},
		{"rename", f.Rename("a", "d/a"), 0},
		{"rmdir full", f.Rmdir("d"), exsys.ENOTEMPTY},
		{"symlink", f.Symlink("/etc", "l"), exsys.ENOSYS},
		{"link", f.Link("d/a", "l"), exsys.ENOSYS},
		{"unlink", f.Unlink("d/a"), 0},
		{"rmdir", f.Rmdir("d"), 0},
	} {
		if c.got != c.want {
			t.Errorf("%d, %s: %v, want %v", i, c.what, c.got, c.want)
		}
	}
	if made, _ := f.made(); fmt.Sprint(made) != "map[data/out:[]]" {
		t.Errorf("left %v", made)
	}
	if err := f.grant("data/in/deeper", nil); !errors.Is(err, exsys.ENOTDIR) {
		t.Errorf("granting below a file: %v", err)
	}
}

// TestMemFSBounds fills the file system, opens too much, and gets the room back.
func TestMemFSBounds(t *testing.T) {
	f := grown(t)
	h, errno := f.OpenFile("big", exsys.O_CREAT|exsys.O_RDWR, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	if errno := h.Truncate(maxFSBytes); errno != 0 {
		t.Errorf("to the bound: %v", errno)
	}
	if errno := h.Truncate(maxFSBytes + 1); errno == 0 {
		t.Error("over the bound")
	}
	if _, errno := h.Pwrite([]byte("x"), maxFSBytes); errno == 0 {
		t.Error("written over the bound")
	}
	if errno := f.Unlink("big"); errno != 0 {
		t.Fatal(errno)
	}
	if f.bytes != maxFSBytes {
		t.Errorf("%d bytes count while the file is open", f.bytes)
	}
	_ = h.Close()
	_ = h.Close()
	if f.bytes != 0 {
		t.Errorf("%d bytes count afterwards", f.bytes)
	}
	for i := range maxNodes {
		if f.Mkdir(fmt.Sprint("d", i), 0) != 0 {
			break
		}
	}
	if f.nodes != maxNodes {
		t.Errorf("%d files and directories, want %d", f.nodes, maxNodes)
	}
	for range maxOpen {
		if _, errno := f.OpenFile("data/in", 0, 0); errno != 0 {
			t.Fatal(errno)
		}
	}
	if _, errno := f.OpenFile("data/in", 0, 0); errno == 0 {
		t.Error("one open file too many")
	}
}

// FuzzMemFS has calls in any order: the books hold, and what was given stays.
func FuzzMemFS(f *testing.F) {
	f.Add([]byte("0a1b2c3d4e5f6g7h8i9j"))
	f.Add([]byte("\x00\x01\x03\x09\x02\x01\x04\x01\x01\x05\x02\x11\x06\x07"))
	names := []string{"a", "b", "d", "d/a", "d/d", "d/d/a", "data/in", "data", "/", "a/", "../a", "d/../b"}
	f.Fuzz(func(t *testing.T, script []byte) {
		fs := grown(t)
		var handles []exsys.File
		for i := 0; i+2 < len(script) && i < 600; i += 3 {
			name, other := names[int(script[i+1])%len(names)], names[int(script[i+2])%len(names)]
			switch script[i] % 8 {
			case 0:
				if h, errno := fs.OpenFile(name, exsys.Oflag(script[i+2]), 0); errno == 0 {
					handles = append(handles, h)
				}
			case 1:
				fs.Mkdir(name, 0)
			case 2:
				fs.Unlink(name)
			case 3:
				fs.Rmdir(name)
			case 4:
				fs.Rename(name, other)
			default:
				if len(handles) > 0 {
					use(handles[int(script[i+1])%len(handles)], script[i]%3, script[i+2])
				}
			}
			checkBooks(t, fs, handles)
		}
		if in := fs.root.dir["data"].dir["in"]; string(in.data) != "given" {
			t.Errorf("what was given became %q", in.data)
		}
	})
}

func use(h exsys.File, how, n byte) {
	switch how {
	case 0:
		h.Close()
	case 1:
		h.Write(make([]byte, n))
		h.Read(make([]byte, n))
	default:
		h.Truncate(int64(n))
		h.Seek(int64(n)/2, int(n)%4)
		h.Readdir(int(n%5) - 1)
	}
}

// checkBooks counts what can be reached and what is open.
func checkBooks(t *testing.T, fs *memFS, handles []exsys.File) {
	t.Helper()
	seen := map[*node]bool{}
	var walk func(n *node)
	walk = func(n *node) {
		if seen[n] {
			t.Fatal("a file can be reached in two ways")
		}
		seen[n] = true
		for _, c := range n.dir {
			walk(c)
		}
	}
	walk(fs.root)
	open := 0
	for _, h := range handles {
		if n, closed := nodeOf(h); !closed {
			seen[n] = true
			open++
		}
	}
	bytes := int64(0)
	for n := range seen {
		if !n.granted {
			bytes += int64(len(n.data))
		}
	}
	if len(seen) != fs.nodes || bytes != fs.bytes || open != fs.open {
		t.Fatalf("there are %d nodes of %d bytes, %d open; the books say %d of %d, %d open", len(seen), bytes, open, fs.nodes, fs.bytes, fs.open)
	}
}

func nodeOf(h exsys.File) (*node, bool) {
	if d, ok := h.(*dirHandle); ok {
		return d.node, d.closed
	}
	h2 := h.(*fileHandle)
	return h2.node, h2.closed
}
