package wasm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
)

// mutantsEnv says how many mutants TestMutants runs. 200000 take a quarter of an
// hour on two cores:
//
//	CGO_ENABLED=0 TENZRO_TEST_MUTANTS=200000 go test ./compute/wasm -run TestMutants -timeout 3h -v
const mutantsEnv = "TENZRO_TEST_MUTANTS"

// fewMutants is how many it runs else.
const fewMutants = 300

func mutantCount(t *testing.T) int {
	text := os.Getenv(mutantsEnv)
	if text == "" {
		return fewMutants
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: want a number of modules", mutantsEnv, text)
	}
	return n
}

// TestMutants sends modules that are nearly programs through real children. Each
// ends with a result or with a reason that its submitter caused, no child dies of
// one, and the node has afterwards what it had after the first tenth: children,
// descriptors, goroutines, memory.
func TestMutants(t *testing.T) {
	n := mutantCount(t)
	tr := newTrial(t)
	tenth := (n + 9) / 10
	tr.run(t, 0, tenth)
	first := held()
	for from := tenth; from < n; from += tenth {
		to := min(from+tenth, n)
		tr.run(t, from, to)
		now, wrong := tr.settled(first)
		t.Logf("%d of %d after %s: %s; %s", to, n, time.Since(tr.began).Round(time.Second), now, tr.ends())
		if wrong != "" {
			t.Error(wrong)
		}
	}
	tr.checkEnds(t, n)
}

// trial is a sandbox on trial.
type trial struct {
	Executor *wasm.Executor
	made     *mutants
	cfg      sandbox.Config
	began    time.Time

	mu     sync.Mutex
	counts map[core.Reason]int
}

func newTrial(t *testing.T) *trial {
	t.Helper()
	dir := t.TempDir()
	cache, err := wasm.NewCache(filepath.Join(dir, wasm.CacheName), 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	cfg := sandbox.Config{Warm: 2, Max: 4, Dir: dir}
	x := wasm.NewExecutor(wasm.ExecutorConfig{Cache: cache, MemoryMB: 256}, serve(t, cfg), zerolog.Nop())
	return &trial{Executor: x, made: newMutants(t, 1), cfg: cfg, began: time.Now(), counts: map[core.Reason]int{}}
}

// run runs the mutants of a range, as many at a time as the pool takes.
func (tr *trial) run(t *testing.T, from, to int) {
	var next atomic.Int64
	next.Store(int64(from))
	var all sync.WaitGroup
	for range tr.cfg.Max {
		all.Go(func() {
			for i := int(next.Add(1) - 1); i < to; i = int(next.Add(1) - 1) {
				tr.one(t, i)
			}
		})
	}
	all.Wait()
}

// one runs a mutant. Its reason must be one that comes from the program.
func (tr *trial) one(t *testing.T, i int) {
	data := tr.made.task(t, i)
	out, err := tr.Executor.Run(context.Background(), data, compute.Report{})
	end := endOf(data, out.Result, err)
	if end == core.ReasonInternal {
		t.Errorf("mutant %d of seed %d: %s %v\n%.20000s", i, tr.made.seed, out.Result, err, data)
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.counts[end]++
}

// endOf is "" for a possible result, the reason of a failure, and
// core.ReasonInternal for what no program may cause.
func endOf(data, result json.RawMessage, err error) core.Reason {
	var f *core.Failure
	switch {
	case err == nil && (wasm.Planner{}).Validate(data, result) != nil:
		return core.ReasonInternal
	case err != nil && !errors.As(err, &f) && !errors.Is(err, core.Invalid):
		return core.ReasonInternal
	}
	return reason(err)
}

func (tr *trial) ends() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return fmt.Sprint(tr.counts)
}

// checkEnds wants the mutants to have been worth it: enough of them ran, and they
// ended in every way that little fuel allows.
func (tr *trial) checkEnds(t *testing.T, n int) {
	t.Helper()
	ran := tr.counts[""] + tr.counts[core.ReasonTrap] + tr.counts[core.ReasonOutOfFuel]
	if n >= fewMutants && (ran < n/10 || tr.counts[core.ReasonInvalidModule] < n/10 || tr.counts[core.ReasonTrap] == 0 || tr.counts[core.ReasonOutOfFuel] == 0) {
		t.Errorf("%d mutants are too tame or too wild: %s", n, tr.ends())
	}
}

// settled waits until this process holds no more than it did before: children
// that did all their jobs are still dying when the last answer is there. It tells
// what is still too much after that.
func (tr *trial) settled(before holding) (now holding, wrong string) {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for until := time.Now().Add(time.Minute); ; <-look.C {
		now = held()
		if wrong = tr.compare(before, now); wrong == "" || time.Now().After(until) {
			return now, wrong
		}
	}
}

func (tr *trial) compare(before, now holding) string {
	const memory = 64 << 20
	switch most := tr.cfg.Max + tr.cfg.Warm; {
	case now.zombies > 0:
		return fmt.Sprintf("%d children are dead and not reaped", now.zombies)
	case now.children > most:
		return fmt.Sprintf("%d children for a pool of %d", now.children, most)
	case now.files > before.files+filesPerChild*most:
		return fmt.Sprintf("%d open files, %d before", now.files, before.files)
	case now.goroutines > before.goroutines+2*most:
		return fmt.Sprintf("%d goroutines, %d before", now.goroutines, before.goroutines)
	case now.resident > before.resident+memory:
		return fmt.Sprintf("%d MiB are resident, %d before", now.resident>>20, before.resident>>20)
	}
	return ""
}

// filesPerChild is what the node has open for a child: three pipes, three files of
// /proc and the handle of the process.
const filesPerChild = 7

// holding is what a process holds, as far as the system tells.
type holding struct {
	children, zombies, files, goroutines int
	resident                             int64
}

func (h holding) String() string {
	return fmt.Sprintf("%d children, %d zombies, %d files, %d goroutines, %d MiB resident", h.children, h.zombies, h.files, h.goroutines, h.resident>>20)
}

// held looks at this process, which rests for the moment.
func held() holding {
	runtime.GC()
	h := holding{goroutines: runtime.NumGoroutine()}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // none where there is no /proc
	for _, path := range stats {
		text, _ := os.ReadFile(path) // nothing when it has ended
		_, rest, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			h.children++
			if fields[0] == "Z" {
				h.zombies++
			}
		}
	}
	files, _ := os.ReadDir("/proc/self/fd")
	h.files = len(files)
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		pages, _ := strconv.ParseInt(string(bytes.Fields(text)[1]), 10, 64)
		h.resident = pages * int64(os.Getpagesize())
	}
	return h
}
