package sandbox

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/core"
)

// TestMain lets the test binary be its own child.
func TestMain(m *testing.M) {
	if Main(guests()) {
		return
	}
	if os.Getenv(orphanEnv) != "" {
		leaveOrphan()
		return
	}
	goleak.VerifyTestMain(m)
}

// guests are the handlers of the children of these tests.
func guests() map[string]Handler {
	all := map[string]Handler{
		"echo": echo,
		"fail": func(context.Context, []byte, func(core.Stream, []byte)) ([]byte, error) {
			return nil, errors.New("no\x1b[2J such \xff thing")
		},
		"spin":  spin,
		"bomb":  bomb,
		"hold":  hold,
		"flood": flood,
		"pieces": func(_ context.Context, req []byte, output func(core.Stream, []byte)) ([]byte, error) {
			for _, b := range req {
				output(core.Stdout, []byte{b})
			}
			return []byte("done"), nil
		},
		"drip": func(_ context.Context, _ []byte, output func(core.Stream, []byte)) ([]byte, error) {
			for range 100_000 {
				output(core.Stderr, []byte{'.'})
			}
			return nil, nil
		},
		"panic": func(context.Context, []byte, func(core.Stream, []byte)) ([]byte, error) { panic("at the disco") },
		"panic elsewhere": func(context.Context, []byte, func(core.Stream, []byte)) ([]byte, error) {
			go panic("in the street")
			return forever()
		},
		"exit":        func(context.Context, []byte, func(core.Stream, []byte)) ([]byte, error) { os.Exit(3); return nil, nil },
		"panic stuck": panicStuck,
		"suicide": func(context.Context, []byte, func(core.Stream, []byte)) ([]byte, error) {
			err := syscall.Kill(os.Getpid(), syscall.SIGKILL)
			os.Exit(9) // the first process of a namespace cannot kill itself
			return nil, err
		},
		"raw": func(_ context.Context, req []byte, _ func(core.Stream, []byte)) ([]byte, error) {
			_, err := os.NewFile(responseFD, "").Write(req)
			if err != nil {
				return nil, err
			}
			return forever()
		},
		"wait": func(context.Context, []byte, func(core.Stream, []byte)) ([]byte, error) { return forever() },
		"deaf": deaf,
		"linger": func(ctx context.Context, req []byte, output func(core.Stream, []byte)) ([]byte, error) {
			go func() { _, _ = spin(ctx, req, output) }()
			return nil, nil
		},
		"stream and wait": func(_ context.Context, _ []byte, output func(core.Stream, []byte)) ([]byte, error) {
			output(core.Stdout, []byte("x"))
			return forever()
		},
		"stream and spin": func(ctx context.Context, req []byte, output func(core.Stream, []byte)) ([]byte, error) {
			output(core.Stdout, []byte("x"))
			return spin(ctx, req, output)
		},
	}
	addSystemGuests(all)
	return all
}

func echo(_ context.Context, req []byte, _ func(core.Stream, []byte)) ([]byte, error) {
	return req, nil
}

// deaf answers its job and the next one without reading what that is.
func deaf(context.Context, []byte, func(core.Stream, []byte)) ([]byte, error) {
	in, out := os.NewFile(requestFD, ""), os.NewFile(responseFD, "")
	if err := writeFrame(out, kindResponse, nil); err != nil {
		return nil, err
	}
	if _, err := in.Read(make([]byte, 1)); err != nil {
		return nil, err
	}
	if err := writeFrame(out, kindResponse, nil); err != nil {
		return nil, err
	}
	return forever()
}

// panicStuck panics as soon as its output does not get away any more.
func panicStuck(_ context.Context, _ []byte, output func(core.Stream, []byte)) ([]byte, error) {
	var sent atomic.Int64
	go func() {
		for piece := make([]byte, maxPiece); ; sent.Add(1) {
			output(core.Stdout, piece)
		}
	}()
	last := int64(-1)
	for range time.Tick(100 * time.Millisecond) {
		now := sent.Load()
		if now > 0 && now == last {
			panic("in the crowd")
		}
		last = now
	}
	return nil, nil
}

// forever waits longer than any test. An empty select would be a deadlock that
// the runtime finds.
func forever() ([]byte, error) {
	<-time.After(time.Hour)
	return nil, nil
}

func spin(_ context.Context, _ []byte, _ func(core.Stream, []byte)) ([]byte, error) {
	for i := uint64(1); ; i++ {
		if i == 0 {
			return nil, nil
		}
	}
}

// bomb takes memory without end and touches it.
func bomb(context.Context, []byte, func(core.Stream, []byte)) ([]byte, error) {
	var all [][]byte
	for {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
		runtime.KeepAlive(all)
	}
}

// hold takes as many MiB as the request has bytes and lets go of them.
func hold(_ context.Context, req []byte, _ func(core.Stream, []byte)) ([]byte, error) {
	b := make([]byte, len(req)<<20)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	return []byte{b[0]}, nil
}

func flood(_ context.Context, _ []byte, output func(core.Stream, []byte)) ([]byte, error) {
	for b := make([]byte, 10_000); ; {
		output(core.Stdout, b)
	}
}

// serve returns a pool that is served until the test ends.
func serve(t testing.TB, cfg Config) *Pool {
	t.Helper()
	p, err := New(cfg, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v", err)
		}
		noChildren(t)
	})
	return p
}

// run has a job done and wants no error.
func run(t testing.TB, p *Pool, job Job) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	setDefault(&job.Limits.Wall, 4*time.Minute) // the machine may be busy
	res, err := p.Run(ctx, job)
	if err != nil {
		t.Fatalf("%s: %v", job.Handler, err)
	}
	return res
}

// noChildren wants this process to have no child, alive or dead.
func noChildren(t testing.TB) {
	t.Helper()
	var status syscall.WaitStatus
	if pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("process %d is left (%v)", pid, err)
	}
}
