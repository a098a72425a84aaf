package journal_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/jobs/journal/journaltest"
)

// TestForeignDirectory: the journal of a newer version, another region, another
// node or another process is refused with what is there and what is wanted.
func TestForeignDirectory(t *testing.T) {
	for _, c := range []struct {
		name    string
		version string
		kind    core.Kind
		says    []string
	}{
		{"newer version", "tenzro-journal 2\nwhatever follows\n", core.Unsupported, []string{"version 2", "version 1"}},
		{"another region", "tenzro-journal 1\nnetwork test\nregion eu-west\nnode node-a\n", core.Conflict, []string{"eu-west", "us-east"}},
		{"another node", "tenzro-journal 1\nnetwork test\nregion us-east\nnode node-b\n", core.Conflict, []string{"node-b", "node-a"}},
		{"another network", "tenzro-journal 1\nnetwork main\nregion us-east\nnode node-a\n", core.Conflict, []string{"main", "test"}},
		{"not ours", "hello\n", core.Corrupt, []string{"VERSION"}},
		{"empty", "", core.Corrupt, []string{"VERSION"}},
		{"cut", "tenzro-journal 1\nnetwork te", core.Corrupt, []string{"VERSION"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := alone(t)
			if err := os.WriteFile(filepath.Join(cfg.Dir, "VERSION"), []byte(c.version), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := journal.OpenGroup(cfg, zerolog.Nop())
			var e *core.Error
			if !errors.Is(err, c.kind) || !errors.As(err, &e) || e.Hint == "" {
				t.Fatalf("got %v", err)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q is not in: %v", s, err)
				}
			}
		})
	}
	cfg := alone(t)
	g := open(t, cfg)
	defer g.Close()
	if _, err := journal.OpenGroup(cfg, zerolog.Nop()); !errors.Is(err, core.Conflict) {
		t.Errorf("a second process: %v", err)
	}
}

// logFiles returns the files of the log in a directory.
func logFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "log", "*.wal"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files of the log", err)
	}
	return files
}

// crashed returns a directory as a killed process leaves it, with n finished jobs
// in its log.
func crashed(t testing.TB, n int) journal.GroupConfig {
	t.Helper()
	g := serve(t, alone(t).Small(256<<10, 0))
	for i := range n {
		finish(t, g.Group, i)
	}
	cfg := alone(t)
	copyJournal(t, g.Dir(), cfg.Dir)
	return cfg
}

// copyJournal copies a running journal's files, but for the history, which is
// not flushed: as if the process had been killed.
func copyJournal(t testing.TB, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		rel, relErr := filepath.Rel(from, path)
		if err := errors.Join(err, relErr); err != nil {
			return err
		}
		if d.IsDir() {
			if rel == "history" {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// present returns how many of the first n jobs are finished in the journal.
func present(g *served, n int) (have int) {
	for i := range n {
		if j, err := g.Get(journaltest.NewJob(i).ID); err == nil && j.State == jobs.Completed {
			have++
		}
	}
	return have
}

// dataEnd is the length of a file without the zeros behind its last frame: frames
// fill whole eights, and the sum at the end of the last may end in zeros itself.
func dataEnd(b []byte) int { return min(len(b), (len(bytes.TrimRight(b, "\x00"))+7)&^7) }

// TestCutLog: however much is missing at the end of the log, what is before is
// there, the cut is logged at level error, and the journal takes jobs again.
func TestCutLog(t *testing.T) {
	const n = 10
	whole := crashed(t, n)
	content, err := os.ReadFile(logFiles(t, whole.Dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	end := dataEnd(content)
	for _, cut := range []int{0, 1, 9, 1000, 4096} {
		for name, damage := range map[string]func([]byte) []byte{
			"short":  func(b []byte) []byte { return b[:max(0, end-cut)] },
			"zeroed": func(b []byte) []byte { clear(b[max(0, end-cut):]); return b },
		} {
			cfg := alone(t)
			copyJournal(t, whole.Dir, cfg.Dir)
			if err := os.WriteFile(logFiles(t, cfg.Dir)[0], damage(bytes.Clone(content)), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			g, err := journal.OpenGroup(cfg, zerolog.New(&out).Level(zerolog.ErrorLevel))
			if err != nil {
				t.Fatalf("%s by %d: %v", name, cut, err)
			}
			// a cut right behind a batch looks like a log that ends there
			if loud := strings.Contains(out.String(), "it was cut") && strings.Contains(out.String(), `"bytes":`); cut == 0 && loud {
				t.Errorf("%s by %d: %s", name, cut, out.String())
			}
			s := start(t, g)
			s.leads(t)
			least := n - 1 - cut/400 // an ended job is two entries of more than 200 bytes each
			if have := present(s, n); have < least || cut == 0 && have != n {
				t.Errorf("%s by %d: %d of %d jobs are left", name, cut, have, n)
			}
			finish(t, s.Group, n)
			s.stop()
		}
	}
}

// TestTornBatch: half a batch at the end is cut with a message of how much.
func TestTornBatch(t *testing.T) {
	cfg := crashed(t, 3)
	path := logFiles(t, cfg.Dir)[0]
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[dataEnd(b)-20:])
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	g, err := journal.OpenGroup(cfg, zerolog.New(&out).Level(zerolog.ErrorLevel))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if !strings.Contains(out.String(), "it was cut") || !strings.Contains(out.String(), path) {
		t.Errorf("logged: %s", out.String())
	}
}

// TestFlippedBytes: a damaged byte before the last batch is never guessed over:
// the journal refuses to start and names the file.
func TestFlippedBytes(t *testing.T) {
	whole := crashed(t, 6)
	b, err := os.ReadFile(logFiles(t, whole.Dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < dataEnd(b)*2/3; at += 41 {
		cfg := alone(t)
		copyJournal(t, whole.Dir, cfg.Dir)
		path := logFiles(t, cfg.Dir)[0]
		bad := bytes.Clone(b)
		bad[at] ^= 0x55
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		g, err := journal.OpenGroup(cfg, zerolog.Nop())
		var e *core.Error
		if !errors.Is(err, core.Corrupt) || !errors.As(err, &e) || !strings.Contains(err.Error(), path) || !strings.Contains(e.Hint, "region recover") {
			t.Errorf("byte %d: %v", at, err)
		}
		if err == nil {
			g.Close()
		}
	}
}

// TestMetaSlots: one of the two copies of the log's index may be lost, not both.
func TestMetaSlots(t *testing.T) {
	cfg := crashed(t, 2)
	path := filepath.Join(cfg.Dir, "log", "meta")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut <= 4096; cut += 512 {
		if err := os.WriteFile(path, b[:len(b)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		open(t, cfg).Close()
	}
	if err := os.WriteFile(path, make([]byte, len(b)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.OpenGroup(cfg, zerolog.Nop()); !errors.Is(err, core.Corrupt) {
		t.Errorf("without an index: %v", err)
	}
}

// TestLostHistory: finished jobs that are not where the snapshot says are not
// taken for none.
func TestLostHistory(t *testing.T) {
	cfg := alone(t)
	g := serve(t, cfg)
	finish(t, g.Group, 1)
	g.stop()
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "history")); err != nil {
		t.Fatal(err)
	}
	again := open(t, cfg)
	defer again.Close()
	if err := again.Serve(context.Background()); !errors.Is(err, core.Corrupt) {
		t.Errorf("served: %v", err)
	}
}

// TestSegments: the log goes over many files, is cut behind a snapshot, and
// everything is there after a restart.
func TestSegments(t *testing.T) {
	cfg := alone(t).Small(4<<10, 0)
	s := serve(t, cfg)
	const n = 100
	for i := range n {
		finish(t, s.Group, i)
	}
	if files := logFiles(t, cfg.Dir); len(files) < 5 {
		t.Errorf("%d files", len(files))
	}
	killed := alone(t)
	copyJournal(t, cfg.Dir, killed.Dir)
	s.stop()
	if files := logFiles(t, cfg.Dir); len(files) > 30 {
		t.Errorf("%d files after the snapshot", len(files))
	}
	for name, c := range map[string]journal.GroupConfig{"stopped": cfg, "killed": killed} {
		s := serve(t, c)
		if have := present(s, n); have != n {
			t.Errorf("%s: %d of %d", name, have, n)
		}
		s.stop()
	}
}

// TestReserve: below the reserve of free space new jobs are refused as core.Full
// with what to do; reads and ends go on, and nothing needs a restart.
func TestReserve(t *testing.T) {
	var free atomic.Int64
	var clock atomic.Int64
	free.Store(1 << 40)
	cfg := alone(t)
	cfg.Free = func(string) (uint64, error) { return uint64(free.Load()), nil }
	cfg.Now = func() time.Time { return time.Unix(clock.Add(2), 0) }
	g, ctx := serve(t, cfg), context.Background()
	job := journaltest.NewJob(1)
	if err := g.Commit(ctx, job); err != nil {
		t.Fatal(err)
	}
	free.Store(1 << 20)
	err := g.Commit(ctx, journaltest.NewJob(2))
	var e *core.Error
	if !errors.Is(err, core.Full) || !errors.As(err, &e) || e.Hint == "" {
		t.Fatalf("on a full disk: %v", err)
	}
	if _, err := g.Get(job.ID); err != nil {
		t.Error(err)
	}
	if _, err := g.End(ctx, core.TaskResult{TaskID: job.ID, Status: core.TaskCompleted}, job.Created); err != nil {
		t.Errorf("an end on a full disk: %v", err)
	}
	free.Store(1 << 40)
	if err := g.Commit(ctx, journaltest.NewJob(2)); err != nil {
		t.Errorf("with space again: %v", err)
	}
}

// TestFullDisk fills a real volume of 96 MiB. It needs the right to mount.
func TestFullDisk(t *testing.T) {
	cfg := alone(t)
	if err := syscall.Mount("tmpfs", cfg.Dir, "tmpfs", 0, "size=96m"); err != nil {
		t.Skip("no volume can be mounted here: ", err)
	}
	defer syscall.Unmount(cfg.Dir, syscall.MNT_DETACH)
	cfg.Reserve = 1
	g, ctx := serve(t, cfg), context.Background()
	defer g.stop()
	ballast := filepath.Join(cfg.Dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 60<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	acked, err := 0, error(nil)
	for ; err == nil; acked++ {
		job := journaltest.NewJob(acked)
		job.Spec.Data = bytes.Repeat([]byte("7"), 1<<20)
		err = g.Commit(ctx, job)
	}
	if acked--; acked == 0 || !errors.Is(err, core.Full) {
		t.Fatalf("after %d jobs: %v", acked, err)
	}
	if _, err := g.Get(journaltest.NewJob(0).ID); err != nil {
		t.Error(err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it takes jobs again", func() bool {
		err := g.Commit(ctx, journaltest.NewJob(1000))
		return err == nil || errors.Is(err, core.Exists)
	})
	g.stop()
	g = serve(t, cfg)
	if open := len(g.Open()); open < acked+1 {
		t.Errorf("%d of %d are left", open, acked+1)
	}
}
