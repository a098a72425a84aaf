package sandbox

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
)

// TestConfig: what cannot be is said before anything starts.
func TestConfig(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  Config
		kind core.Kind
	}{
		"too many jobs at once": {Config{Max: 5000}, core.Invalid},
		"less than no jobs":     {Config{Max: -1}, core.Invalid},
		"too many idle":         {Config{Warm: 257}, core.Invalid},
		"negative reuse":        {Config{Jobs: -1}, core.Invalid},
		"negative memory":       {Config{Keep: -1}, core.Invalid},
		"no such directory":     {Config{Dir: file + "/none"}, core.Invalid},
		"missing directory":     {Config{Dir: t.TempDir() + "/none"}, core.NotFound},
		"a file":                {Config{Dir: file}, core.Invalid},
		"a relative directory":  {Config{Dir: "."}, core.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(c.cfg, nil, zerolog.Nop()); !errors.Is(err, c.kind) {
				t.Errorf("New = %v, want %s", err, c.kind)
			}
		})
	}
}

// TestImpossibleJobs are the caller's fault and reach no child.
func TestImpossibleJobs(t *testing.T) {
	p, err := New(Config{}, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	for name, job := range map[string]Job{
		"request too long":  {Request: make([]byte, MaxRequest+1)},
		"too little memory": {Limits: Limits{Memory: 1}},
		"too much memory":   {Limits: Limits{Memory: maxMemory + 1}},
		"negative CPU":      {Limits: Limits{CPU: -1}},
		"negative wall":     {Limits: Limits{Wall: -1}},
		"more than a day":   {Limits: Limits{Wall: maxWall + 1}},
		"negative output":   {Limits: Limits{Output: -1}},
		"too much output":   {Limits: Limits{Output: maxOutput + 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := p.Run(t.Context(), job); !errors.Is(err, core.Invalid) {
				t.Errorf("Run = %v", err)
			}
		})
	}
}

// TestUnknownHandler is the node's fault, and costs no child.
func TestUnknownHandler(t *testing.T) {
	p := serve(t, Config{Warm: 1})
	if _, err := p.Run(t.Context(), Job{Handler: "nobody"}); !errors.Is(err, core.Internal) || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("Run = %v", err)
	}
	if res := run(t, p, Job{Handler: "echo"}); res.Reason != OK {
		t.Errorf("%q %s", res.Reason, res.Message)
	}
}

// TestOutput arrives in order, and counts, with the heads of its frames, together
// with the response.
func TestOutput(t *testing.T) {
	p := serve(t, Config{Warm: 1})
	const need = 8*(pieceHead+1) + 4
	var got []byte
	take := func(_ core.Stream, b []byte) { got = append(got, b...) }
	res := run(t, p, Job{Handler: "pieces", Request: []byte("abcdefgh"), Limits: Limits{Output: need}, Output: take})
	if string(got) != "abcdefgh" || string(res.Response) != "done" {
		t.Errorf("output %q, response %q, %q %s", got, res.Response, res.Reason, res.Message)
	}
	res = run(t, p, Job{Handler: "pieces", Request: []byte("abcdefgh"), Limits: Limits{Output: need - 1}, Output: take})
	if res.Reason != OutputLimit {
		t.Errorf("%q %s", res.Reason, res.Message)
	}
}

// TestBigRequest: what does not fit into a pipe goes both ways.
func TestBigRequest(t *testing.T) {
	p := serve(t, Config{Warm: 1})
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	res := run(t, p, Job{Handler: "echo", Request: big, Limits: Limits{Output: int64(len(big)), Memory: 1 << 30}})
	if res.Reason != OK || !bytes.Equal(res.Response, big) {
		t.Errorf("%d bytes, %q %s", len(res.Response), res.Reason, res.Message)
	}
	// A child that dies before it has read its request.
	if res := run(t, p, Job{Handler: "exit", Request: big}); res.Reason != Crash {
		t.Errorf("%q %s", res.Reason, res.Message)
	}
}

// TestCancel: the context ends a job while it runs, while its output is stuck,
// and before it has a child.
func TestCancel(t *testing.T) {
	p := serve(t, Config{Warm: 1, Max: 1})
	t.Run("running", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		res, err := p.Run(ctx, Job{Handler: "stream and wait", Output: func(core.Stream, []byte) { cancel() }})
		if err != nil || res.Reason != Cancelled {
			t.Errorf("%v, %q %s", err, res.Reason, res.Message)
		}
	})
	t.Run("deadline of the context", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		res, err := p.Run(ctx, Job{Handler: "spin"})
		if err != nil || res.Reason != Deadline {
			t.Errorf("%v, %q %s", err, res.Reason, res.Message)
		}
	})
	t.Run("the consumer is stuck", func(t *testing.T) {
		stuck := make(chan struct{})
		done := make(chan Result)
		var pid int
		go func() {
			res, _ := p.Run(t.Context(), Job{Handler: "stream and wait", Limits: Limits{Wall: 100 * time.Millisecond}, Output: func(core.Stream, []byte) { stuck <- struct{}{}; <-stuck }})
			done <- res
		}()
		<-stuck
		p.mu.Lock()
		for g := range p.all {
			if g.current.Load() != nil {
				pid = g.proc.Pid
			}
		}
		p.mu.Unlock()
		waitGone(t, pid) // although nobody reads its pipe
		close(stuck)
		if res := <-done; res.Reason != Deadline {
			t.Errorf("%q %s", res.Reason, res.Message)
		}
	})
	t.Run("waiting for a slot", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		busy := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = p.Run(ctx, Job{Handler: "stream and wait", Output: func(core.Stream, []byte) { close(busy) }})
		}()
		<-busy
		late, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer stop()
		if res, err := p.Run(late, Job{Handler: "echo"}); err != nil || res.Reason != Deadline {
			t.Errorf("%v, %q %s", err, res.Reason, res.Message)
		}
		cancel()
		<-done
	})
	t.Run("before it begins", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if res, err := p.Run(ctx, Job{Handler: "echo"}); err != nil || res.Reason != Cancelled {
			t.Errorf("%v, %q %s", err, res.Reason, res.Message)
		}
	})
}

// waitGone waits until there is no process pid any more, not even a zombie.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	limit, tick := time.After(time.Minute), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		p, err := os.FindProcess(pid)
		if err != nil || errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone) {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("process %d does not go away", pid)
		}
	}
}

// TestReuse: a child serves as many jobs as it may, unless it grew.
func TestReuse(t *testing.T) {
	for name, c := range map[string]struct {
		cfg     Config
		jobs    []Job
		started int // at most, for those jobs
	}{
		"one child for all":     {Config{Warm: -1, Jobs: 10}, repeat(Job{Handler: "echo"}, 10), 1},
		"a new one after two":   {Config{Warm: -1, Jobs: 2}, repeat(Job{Handler: "echo"}, 6), 3},
		"a handler's error":     {Config{Warm: -1}, repeat(Job{Handler: "fail"}, 3), 1},
		"crashes cost children": {Config{Warm: -1}, repeat(Job{Handler: "exit"}, 3), 3},
		"each alone":            {Config{Warm: -1, Jobs: 1}, repeat(Job{Handler: "echo"}, 3), 3},
		"memory is given back":  {Config{Warm: -1}, repeat(Job{Handler: "hold", Request: make([]byte, 64)}, 3), 1},
	} {
		t.Run(name, func(t *testing.T) {
			if raced && c.jobs[0].Handler == "hold" {
				t.Skip("the race detector holds as much again and keeps it")
			}
			p := serve(t, c.cfg)
			for _, job := range c.jobs {
				run(t, p, job)
			}
			if got := int(testutil.ToFloat64(p.metrics.started)); got != c.started {
				t.Errorf("%d children for %d jobs, want %d", got, len(c.jobs), c.started)
			}
		})
	}
}

func repeat(j Job, n int) []Job {
	jobs := make([]Job, n)
	for i := range jobs {
		jobs[i] = j
	}
	return jobs
}

// TestServe: a pool ends its children with its service, can be served again, and
// not twice at once; a job that runs then is told apart from a guest's failure.
func TestServe(t *testing.T) {
	reg := prometheus.NewRegistry()
	p, err := New(Config{Warm: 1}, reg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- p.Serve(ctx) }()
		if res := run(t, p, Job{Handler: "echo"}); res.Reason != OK {
			t.Errorf("%q %s", res.Reason, res.Message)
		}
		if err := p.Serve(ctx); !errors.Is(err, core.Conflict) {
			t.Errorf("a second Serve = %v", err)
		}
		busy, failed := make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := p.Run(t.Context(), Job{Handler: "stream and wait", Output: func(core.Stream, []byte) { close(busy) }})
			failed <- err
		}()
		<-busy
		cancel()
		if err := <-failed; !errors.Is(err, core.Unavailable) {
			t.Errorf("Run = %v, want that the node is stopping", err)
		}
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v", err)
		}
		noChildren(t)
	}
	if n, err := testutil.GatherAndCount(reg, "tenzro_sandbox_jobs_total", "tenzro_sandbox_children", "tenzro_sandbox_peak_memory_bytes"); err != nil || n < 3 {
		t.Errorf("%d series, %v", n, err)
	}
}

// TestParallel runs good and bad jobs side by side: each gets its own answer.
func TestParallel(t *testing.T) {
	p := serve(t, Config{Warm: 2, Max: 4, Jobs: 5})
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			job, want := Job{Handler: "echo", Request: []byte{byte(i)}}, OK
			if i%4 == 3 {
				job, want = Job{Handler: "exit"}, Crash
			}
			res := run(t, p, job)
			if res.Reason != want || want == OK && !bytes.Equal(res.Response, job.Request) {
				t.Errorf("job %d: %q %q %s", i, res.Response, res.Reason, res.Message)
			}
		})
	}
	group.Wait()
}

// TestNothingStays runs some hundred jobs of all kinds and wants as many
// descriptors and goroutines afterwards, and about as much memory.
func TestNothingStays(t *testing.T) {
	p := serve(t, Config{Warm: 1, Jobs: 8})
	jobs := []Job{
		{Handler: "echo", Request: make([]byte, 100_000)}, {Handler: "echo"}, {Handler: "fail"}, {Handler: "exit"}, {Handler: "flood"}, {Handler: "panic"},
		{Handler: "raw", Request: []byte("O\xff\xff\xff\xff")}, {Handler: "wait", Limits: Limits{Wall: time.Millisecond}},
	}
	round := func(n int) (files, routines int, heap uint64) {
		for range n {
			for _, job := range jobs {
				run(t, p, job)
			}
		}
		settled(t, p)
		runtime.GC()
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		return openFiles(t), runtime.NumGoroutine(), mem.HeapAlloc
	}
	files, routines, heap := round(4)
	files2, routines2, heap2 := round(40)
	if files2 > files+2 || routines2 > routines+2 || heap2 > heap+4<<20 {
		t.Errorf("%d -> %d files, %d -> %d goroutines, %d -> %d bytes", files, files2, routines, routines2, heap, heap2)
	}
}

// settled waits until the pool has the children it should and none besides.
func settled(t *testing.T, p *Pool) {
	t.Helper()
	limit, tick := time.After(time.Minute), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		p.mu.Lock()
		all, idle := len(p.all), len(p.idle)
		p.mu.Unlock()
		if all == p.cfg.Warm {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%d children, %d of them idle, want %d", all, idle, p.cfg.Warm)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(names)
}

// TestSpeaksUnasked: a child that says something while it has no job is ended.
func TestSpeaksUnasked(t *testing.T) {
	p := serve(t, Config{Warm: -1})
	if res := run(t, p, Job{Handler: "raw", Request: []byte("R\x00\x00\x00\x00O\x00\x00\x00\x01x")}); res.Reason != OK {
		t.Fatalf("%q %s", res.Reason, res.Message)
	}
	settled(t, p) // at no child
}

// TestAnswersUnread: a child that answers a job without reading its request is
// not used again, and nobody waits for it longer than a moment.
func TestAnswersUnread(t *testing.T) {
	p := serve(t, Config{Warm: -1})
	if res := run(t, p, Job{Handler: "deaf"}); res.Reason != OK {
		t.Fatalf("%q %s", res.Reason, res.Message)
	}
	res := run(t, p, Job{Handler: "echo", Request: make([]byte, 4<<20)}) // which the deaf child gets
	if res.Reason != OK || len(res.Response) != 0 {
		t.Errorf("%d bytes, %q %s", len(res.Response), res.Reason, res.Message)
	}
	if res := run(t, p, Job{Handler: "echo", Request: []byte("x")}); string(res.Response) != "x" {
		t.Errorf("%q, %q %s", res.Response, res.Reason, res.Message)
	}
}
