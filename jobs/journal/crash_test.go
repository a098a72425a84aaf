package journal_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/jobs/journal/journaltest"
)

const (
	childDir  = "TENZRO_TEST_JOURNAL_CHILD" // re-executes this binary as a node
	childFrom = "TENZRO_TEST_JOURNAL_FROM"  // the number of its first job
)

func crashConfig(dir string) journal.GroupConfig {
	c := journal.GroupConfig{Dir: dir, Self: "node-a", Region: "us-east", Network: "test"}
	return c.Small(64<<10, 200)
}

// child is a node of its own process: it commits and ends jobs as fast as it can
// and writes down each acknowledgement, until it is killed.
func child(dir string, out io.Writer) int {
	g, err := journal.OpenGroup(crashConfig(dir), zerolog.Nop())
	if err == nil {
		err = g.Found()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	from, _ := strconv.Atoi(os.Getenv(childFrom))
	ctx := context.Background()
	go g.Lead(ctx, func(context.Context, uint64) { work(g, from, out) })
	if err := g.Serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return 1
}

func work(g *journal.Group, from int, out io.Writer) {
	const writers = 8
	var mu sync.Mutex
	say := func(what string, n int) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(out, what, n)
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := from + w; ; n += writers {
				job := journaltest.NewJob(n)
				if g.Commit(context.Background(), job) != nil {
					return
				}
				say("open", n)
				if n%30 == 0 {
					if g.Take(context.Background(), takenOf(n, time.Now().Add(time.Hour))) != nil {
						return
					}
					say("taken", n+1<<31)
				}
				if n%3 == 0 {
					continue // stays open
				}
				r := core.TaskResult{TaskID: job.ID, Status: core.TaskCompleted, Result: []byte(strconv.Itoa(n))}
				if _, err := g.End(context.Background(), r, job.Created); err != nil {
					return
				}
				say("done", n)
			}
		})
	}
	wg.Wait()
}

// TestKill: a node that is killed at any moment has everything it acknowledged,
// also when the ends of its log files, which hold nothing yet, are cut off. Set
// TENZRO_TEST_CRASHES=1000 for more than a few rounds.
func TestKill(t *testing.T) {
	rounds := 4
	if s := os.Getenv("TENZRO_TEST_CRASHES"); s != "" {
		rounds, _ = strconv.Atoi(s)
	}
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	dir, next := t.TempDir(), 0
	acked := map[int]string{}
	for round := range rounds {
		next = kill(t, dir, next, time.Duration(rnd.IntN(300))*time.Millisecond, acked)
		where := dir
		if round%2 == 0 { // the next child goes on from what the killed one left
			where = t.TempDir()
			copyWhole(t, dir, where)
		}
		cut := rnd.IntN(4097)
		for _, path := range logFiles(t, where) {
			shorten(t, path, cut)
		}
		shorten(t, filepath.Join(where, "log", "meta"), cut)
		check(t, where, acked, fmt.Sprintf("round %d, cut %d", round, cut))
		if round%50 == 49 { // keep it quick: what was checked often enough is not checked again
			clear(acked)
			dir, next = t.TempDir(), 0
		}
	}
}

// kill runs a child until it has acknowledged something and the time is over, and
// returns the number of the next job.
func kill(t *testing.T, dir string, from int, after time.Duration, acked map[int]string) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childFrom+"="+strconv.Itoa(from))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	next, killed := from, false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		once.Do(func() { time.AfterFunc(after, func() { _ = cmd.Process.Kill() }); killed = true })
		var what string
		var n int
		if got, _ := fmt.Sscan(lines.Text(), &what, &n); got == 2 {
			acked[n] = what
			if what != "taken" {
				next = max(next, n+64)
			}
		}
	}
	if err := cmd.Wait(); err == nil || !killed {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return next
}

func shorten(t *testing.T, path string, by int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if keep := max(len(b)-by, dataEnd(b)); filepath.Base(path) != "meta" {
		err = os.Truncate(path, int64(keep))
	} else {
		err = os.Truncate(path, int64(len(b)-by))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func copyWhole(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// check opens the journal and looks for everything that was acknowledged.
func check(t *testing.T, dir string, acked map[int]string, when string) {
	t.Helper()
	s := serve(t, crashConfig(dir))
	defer s.stop()
	known := map[int]bool{}
	for _, i := range indexes(s.Group) {
		known[i] = true
	}
	for n, what := range acked {
		if what == "taken" {
			if !known[n-1<<31] {
				t.Errorf("%s: subtask %d of another region was recorded and is not known", when, n-1<<31)
			}
			continue
		}
		job, err := s.Get(journaltest.NewJob(n).ID)
		switch {
		case err != nil:
			t.Errorf("%s: job %d, acknowledged as %s: %v", when, n, what, err)
		case what == "done" && (job.State != jobs.Completed || string(job.Result.Result) != strconv.Itoa(n)):
			t.Errorf("%s: job %d was done and is %s %s", when, n, job.State, job.Result.Result)
		case what == "open" && job.State == jobs.Committed && string(job.Spec.Data) != `{"n":1}`:
			t.Errorf("%s: job %d has other data: %s", when, n, job.Spec.Data)
		}
	}
}
