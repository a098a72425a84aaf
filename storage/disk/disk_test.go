package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/storage"
	"github.com/tenzro/tenzro/storage/storagetest"
)

func open(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func put(t *testing.T, s *Store, data string) core.ObjectID {
	t.Helper()
	info, _, err := s.Put(context.Background(), strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

func get(s *Store, id core.ObjectID) (string, error) {
	_, data, err := s.Get(context.Background(), id)
	return string(data), err
}

// TestSuite: a directory is a store of objects.
func TestSuite(t *testing.T) {
	storagetest.Suite(t, func(t *testing.T) storage.Store { return open(t, Config{Dir: t.TempDir()}) })
	t.Run("memory", func(t *testing.T) {
		storagetest.Suite(t, func(t *testing.T) storage.Store { return &storagetest.Memory{} })
	})
}

// TestReopen: what is in the directory is known again, with the time of its last
// use; what was half written is gone, and what is no object is left alone.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	id := put(t, s, "hello")
	if err := s.Keep(context.Background(), core.ObjectOf([]byte("copied")), []byte("copied")); err != nil {
		t.Fatal(err)
	}
	before, err := s.List(context.Background(), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	must(t, s.Close())
	must(t, os.WriteFile(filepath.Join(dir, tmpDir, "half"), []byte("hel"), 0o600))
	stray := filepath.Join(dir, id.String()[:2], "notes.txt")
	must(t, os.WriteFile(stray, nil, 0o600))
	s = open(t, Config{Dir: dir})
	after, err := s.List(context.Background(), "", 10)
	if err != nil || !slices.Equal(before.Objects, after.Objects) || len(after.Objects) != 2 {
		t.Errorf("List = %+v, %v, want %+v", after, err, before)
	}
	if data, err := get(s, id); data != "hello" || err != nil {
		t.Errorf("Get = %q, %v", data, err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, tmpDir)); len(left) > 0 {
		t.Errorf("%s is still there", left[0].Name())
	}
	if _, err := os.Stat(stray); err != nil {
		t.Error(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestModes: nobody else on the machine reads objects.
func TestModes(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	id := put(t, s, "hello")
	for name, want := range map[string]os.FileMode{path(id, false): 0o600, shelf(id): 0o700, tmpDir: 0o700, damagedDir: 0o700} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

// TestRot: bytes that are not those of the id are never handed out, whatever became
// of the file; it is moved aside and counted, and the object can be put again.
func TestRot(t *testing.T) {
	for name, spoil := range map[string]func(string) error{
		"one bit":    func(p string) error { return os.WriteFile(p, []byte("hellp"), 0o600) },
		"shorter":    func(p string) error { return os.Truncate(p, 3) },
		"empty":      func(p string) error { return os.Truncate(p, 0) },
		"longer":     func(p string) error { return os.WriteFile(p, []byte("hello!"), 0o600) },
		"much more":  func(p string) error { return os.Truncate(p, 1<<40) },
		"a link out": func(p string) error { return errors.Join(os.Remove(p), os.Symlink("/etc/passwd", p)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, Config{Dir: dir})
			id := put(t, s, "hello")
			must(t, spoil(filepath.Join(dir, path(id, false))))
			for range 2 {
				data, err := get(s, id)
				if kind := core.KindOf(err); data != "" || kind != core.Corrupt && kind != core.NotFound && kind != core.Unavailable {
					t.Fatalf("Get = %q, %v", data, err)
				}
			}
			if name != "a link out" {
				if n := testutil.ToFloat64(s.metrics.damaged); n != 1 {
					t.Errorf("%v damaged objects counted, want 1", n)
				}
				if _, err := os.Stat(filepath.Join(dir, damagedDir, id.String())); err != nil {
					t.Errorf("the damaged file was not kept: %v", err)
				}
			}
			put(t, s, "hello")
			if data, err := get(s, id); data != "hello" || err != nil {
				t.Errorf("put again, Get = %q, %v", data, err)
			}
		})
	}
}

// TestPutMends: bytes that are put again replace a file that has rotted unseen.
func TestPutMends(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	id := put(t, s, "hello")
	must(t, os.WriteFile(filepath.Join(dir, path(id, false)), []byte("hellp"), 0o600))
	put(t, s, "hello")
	if data, err := get(s, id); data != "hello" || err != nil {
		t.Errorf("Get = %q, %v", data, err)
	}
}

// TestRemovedByHand: a file that somebody removed is an object that is not there.
func TestRemovedByHand(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	id := put(t, s, "hello")
	must(t, os.Remove(filepath.Join(dir, path(id, false))))
	if _, err := get(s, id); core.KindOf(err) != core.NotFound {
		t.Errorf("Get = %v, want not_found", err)
	}
	if s.bytes != 0 || len(s.order) != 0 {
		t.Errorf("%d bytes of %d objects are still counted", s.bytes, len(s.order))
	}
}

// TestBound: what does not fit is refused and nothing goes for it, but copies of
// other nodes' objects make room; reads go on.
func TestBound(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), MaxBytes: 3 * blockBytes})
	copied := core.ObjectOf([]byte("copied"))
	must(t, s.Keep(context.Background(), copied, []byte("copied")))
	first := put(t, s, "1")
	put(t, s, "2")
	put(t, s, "3") // in place of the copy
	if _, err := get(s, copied); core.KindOf(err) != core.NotFound {
		t.Errorf("the copy is still there: %v", err)
	}
	if _, _, err := s.Put(context.Background(), strings.NewReader("4")); core.KindOf(err) != core.Full {
		t.Errorf("Put = %v, want full", err)
	}
	if err := s.Keep(context.Background(), copied, []byte("copied")); core.KindOf(err) != core.Full {
		t.Errorf("Keep = %v, want full", err)
	}
	if data, err := get(s, first); data != "1" || err != nil {
		t.Errorf("Get = %q, %v", data, err)
	}
	must(t, s.Delete(context.Background(), first))
	put(t, s, "4")
	if s.incoming != 0 || s.bytes != 3*blockBytes || s.copies != 0 {
		t.Errorf("%d bytes are counted and %d come, want %d and none", s.bytes, s.incoming, 3*blockBytes)
	}
}

// TestCopy: a copy that is put becomes an object of this node, and an object does not
// become a copy; wrong bytes are no copy.
func TestCopy(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	id := core.ObjectOf([]byte("x"))
	if err := s.Keep(context.Background(), id, []byte("y")); core.KindOf(err) != core.Corrupt {
		t.Errorf("Keep of other bytes = %v, want corrupt", err)
	}
	isCopy := func() bool {
		info, _, err := s.Get(context.Background(), id)
		must(t, err)
		return info.Copy
	}
	must(t, s.Keep(context.Background(), id, []byte("x")))
	if !isCopy() {
		t.Error("what was fetched is no copy")
	}
	put(t, s, "x")
	must(t, s.Keep(context.Background(), id, []byte("x")))
	if isCopy() {
		t.Error("what was put is a copy")
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "??", "*")); len(files) != 1 {
		t.Errorf("the object has the files %v", files)
	}
}

// TestExpire: an object goes the retention after its last use, and a use counts.
//
// spec 4.35
func TestExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Config{Dir: t.TempDir()})
		used, unused := put(t, s, "used"), put(t, s, "unused")
		time.Sleep(DefaultKeep - time.Minute)
		info, _, err := s.Get(context.Background(), used)
		must(t, err)
		if left := time.Until(info.Expires); left > DefaultKeep || left < DefaultKeep-touchEvery {
			t.Errorf("it expires in %s", left)
		}
		time.Sleep(2 * time.Minute)
		must(t, s.Expire(context.Background()))
		if _, err := get(s, unused); core.KindOf(err) != core.NotFound {
			t.Errorf("Get of what nobody used = %v", err)
		}
		if _, err := get(s, used); err != nil {
			t.Errorf("Get of what was used = %v", err)
		}
	})
}

// stubborn is a volume whose calls fail from the n-th on, and that says what was done.
type stubborn struct {
	files
	left int
	err  error
	done []string
}

func (v *stubborn) step(what string) error {
	if v.left--; v.left < 0 {
		return v.err
	}
	v.done = append(v.done, what)
	return nil
}

func (v *stubborn) Create(name string) (file, error) {
	if err := v.step("create"); err != nil {
		return nil, err
	}
	f, err := v.files.Create(name)
	return stubbornFile{f, v}, err
}

func (v *stubborn) Rename(from, to string) error {
	if err := v.step("rename"); err != nil {
		return err
	}
	return v.files.Rename(from, to)
}

func (v *stubborn) Sync(dir string) error {
	if err := v.step("sync " + dir); err != nil {
		return err
	}
	return v.files.Sync(dir)
}

type stubbornFile struct {
	file
	v *stubborn
}

func (f stubbornFile) Write(p []byte) (int, error) {
	if err := f.v.step("write"); err != nil {
		return 0, err
	}
	return f.file.Write(p)
}

func (f stubbornFile) Sync() error {
	if err := f.v.step("sync file"); err != nil {
		return err
	}
	return f.file.Sync()
}

// TestDiskFails: whichever call fails, a Put that was not acknowledged leaves nothing
// behind but, at most, the object itself; a full disk is core.Full, and what was
// there is still read.
func TestDiskFails(t *testing.T) {
	for _, fault := range []struct {
		err  error
		want core.Kind
	}{{syscall.ENOSPC, core.Full}, {syscall.EDQUOT, core.Full}, {syscall.EIO, core.Unavailable}} {
		for n := range 5 {
			t.Run(fmt.Sprintf("%v at call %d", fault.err, n), func(t *testing.T) {
				dir := t.TempDir()
				s := open(t, Config{Dir: dir})
				there := put(t, s, "there")
				s.vol = &stubborn{files: files{s.root}, left: n, err: fault.err}
				if _, _, err := s.Put(context.Background(), strings.NewReader("new")); core.KindOf(err) != fault.want {
					t.Fatalf("Put = %v, want %v", err, fault.want)
				}
				if data, err := get(s, there); data != "there" || err != nil {
					t.Errorf("Get = %q, %v", data, err)
				}
				if left, _ := os.ReadDir(filepath.Join(dir, tmpDir)); len(left) > 0 || s.incoming != 0 {
					t.Errorf("%d files and %d bytes are left", len(left), s.incoming)
				}
				s.vol = files{s.root}
				if data, err := get(s, put(t, s, "new")); data != "new" || err != nil {
					t.Errorf("put again, Get = %q, %v", data, err)
				}
			})
		}
	}
}

// nearlyFull is a volume with this many free bytes.
type nearlyFull struct {
	files
	free uint64
}

func (v nearlyFull) Free() (uint64, error) { return v.free, nil }

// TestReserve: objects leave the node the last of its disk, and go on when there is
// more.
func TestReserve(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	there := put(t, s, "there")
	s.vol = nearlyFull{files{s.root}, freeReserve - 1}
	if _, _, err := s.Put(context.Background(), strings.NewReader("new")); core.KindOf(err) != core.Full {
		t.Errorf("Put = %v, want full", err)
	}
	if data, err := get(s, there); data != "there" || err != nil {
		t.Errorf("Get = %q, %v", data, err)
	}
	s.vol = nearlyFull{files{s.root}, freeReserve}
	put(t, s, "new")
}

// TestOrderOfCalls: a file is on the disk before it gets its name, and the name
// before Put answers.
func TestOrderOfCalls(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	id := put(t, s, "new") // makes its directory
	must(t, s.Delete(context.Background(), id))
	v := &stubborn{files: files{s.root}, left: 100}
	s.vol = v
	put(t, s, "new")
	want := []string{"create", "write", "sync file", "rename", "sync " + shelf(id)}
	if !slices.Equal(slices.Compact(v.done), want) {
		t.Errorf("the calls were %q, want %q", v.done, want)
	}
}

// TestRoomWhileWriting: bytes that still come count too, so that many uploads at once
// cannot fill more than there may be.
func TestRoomWhileWriting(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), MaxBytes: 1 << 20})
	pr, pw := io.Pipe()
	first := make(chan error)
	go func() {
		_, _, err := s.Put(context.Background(), pr)
		first <- err
	}()
	_, err := pw.Write(bytes.Repeat([]byte{1}, 900<<10))
	must(t, err)
	_, err = pw.Write(nil) // returns once what came before is counted
	must(t, err)
	if _, _, err := s.Put(context.Background(), bytes.NewReader(make([]byte, 200<<10))); core.KindOf(err) != core.Full {
		t.Errorf("Put = %v, want full", err)
	}
	must(t, pw.Close())
	must(t, <-first)
}

// TestMetrics: the gauges count objects and bytes.
func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	s, err := Open(Config{Dir: t.TempDir()}, reg, zerolog.Nop())
	must(t, err)
	defer s.Close()
	put(t, s, strings.Repeat("x", 10_000))
	put(t, s, "x")
	const want = `# HELP tenzro_objects Objects on this node, copies included.
# TYPE tenzro_objects gauge
tenzro_objects 2
# HELP tenzro_objects_bytes What the objects of this node count, each at least 4 KiB.
# TYPE tenzro_objects_bytes gauge
tenzro_objects_bytes 14096
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "tenzro_objects", "tenzro_objects_bytes"); err != nil {
		t.Error(err)
	}
}

// TestBothFiles: a crash between two steps may leave an object and its copy; the copy
// goes, and the object counts once.
func TestBothFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	id := put(t, s, "x")
	must(t, s.Close())
	must(t, os.WriteFile(filepath.Join(dir, path(id, true)), []byte("x"), 0o600))
	s = open(t, Config{Dir: dir})
	if info, _, err := s.Get(context.Background(), id); err != nil || info.Copy {
		t.Errorf("Get = %+v, %v", info, err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "??", "*")); len(files) != 1 || s.bytes != blockBytes || s.copies != 0 || len(s.order) != 1 {
		t.Errorf("files %v, %d bytes counted, %d of copies, %d objects", files, s.bytes, s.copies, len(s.order))
	}
}
