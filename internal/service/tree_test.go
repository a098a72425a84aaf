package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("disk on fire")

// start serves tree in the background; stop ends it and returns its error.
func start(t *testing.T, tree *Tree) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- tree.Serve(ctx) }()
	synctest.Wait()
	return func() error { cancel(); return <-result }
}

func newTree() *Tree { return New("node", zerolog.Nop()) }

// idle works until it is told to stop.
func idle(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func find(t *testing.T, tree *Tree, name string) Health {
	t.Helper()
	for _, h := range tree.Health() {
		if h.Name == name {
			return h
		}
	}
	t.Fatalf("no service %q in %+v", name, tree.Health())
	return Health{}
}

func TestFailurePolicy(t *testing.T) {
	for name, c := range map[string]struct {
		first        func() error // what the first run returns; later runs idle
		runs         int32
		state        State
		lastError    string
		fatal        int
		treeStillUp  bool
		wantRestarts int
	}{
		"plain error restarts":     {func() error { return errBroken }, 2, Running, "disk on fire", 0, true, 1},
		"early nil restarts":       {func() error { return nil }, 2, Running, "service returned before it was told to stop", 0, true, 1},
		"panic restarts":           {func() error { panic("index out of range") }, 2, Running, "panic: index out of range", 0, true, 1},
		"foreign cancel restarts":  {func() error { return context.Canceled }, 2, Running, "context canceled", 0, true, 1},
		"done ends the service":    {func() error { return Done }, 1, Finished, "", 0, true, 0},
		"wrapped done keeps cause": {func() error { return errors.Join(Done, errBroken) }, 1, Finished, "service finished\ndisk on fire", 0, true, 0},
		"fatal ends the tree":      {func() error { return Fatal(7, errBroken) }, 1, Finished, "disk on fire", 7, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tree := newTree()
				var runs, other atomic.Int32
				tree.Add("loop", Func("loop", func(ctx context.Context) error {
					if runs.Add(1) == 1 {
						return c.first()
					}
					return idle(ctx)
				}))
				tree.Add("other", Func("other", func(ctx context.Context) error {
					other.Add(1)
					defer other.Add(-1)
					return idle(ctx)
				}))
				stop := start(t, tree)
				time.Sleep(time.Second)
				synctest.Wait()

				h := find(t, tree, "loop")
				if runs.Load() != c.runs || h.State != c.state || h.LastError != c.lastError || h.Restarts != c.wantRestarts {
					t.Errorf("after %d runs: %+v, want %d runs, state %s, restarts %d, error %q", runs.Load(), h, c.runs, c.state, c.wantRestarts, c.lastError)
				}
				if up := other.Load() == 1; up != c.treeStillUp {
					t.Errorf("other service up = %v, want %v", up, c.treeStillUp)
				}
				err := stop()
				if code, fatal := ExitCode(err); code != c.fatal || fatal == c.treeStillUp {
					t.Errorf("Serve = %v: exit code %d, fatal %v", err, code, fatal)
				}
				if c.treeStillUp && err != nil {
					t.Errorf("Serve after a normal stop = %v, want nil", err)
				}
			})
		})
	}
}

// A service that fails at once must neither spin nor slow down its neighbours.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := newTree()
		var broken, flaky atomic.Int32
		tree.Add("broken", Func("", func(context.Context) error { broken.Add(1); return errBroken }))
		stop := start(t, tree)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if h := find(t, tree, "broken"); h.State != BackingOff {
			t.Errorf("state %s, want %s", h.State, BackingOff)
		}
		// 250 ms doubling to 30 s takes 7 steps and 32 s on average; then one per 15 to 45 s.
		if n := broken.Load(); n < 18 || n > 50 {
			t.Errorf("%d runs in ten minutes, want 18 to 50", n)
		}
		tree.Add("flaky", Func("", func(ctx context.Context) error {
			if flaky.Add(1) == 1 {
				return errBroken
			}
			return idle(ctx)
		}))
		time.Sleep(firstPause * 3 / 2)
		synctest.Wait()
		if h := find(t, tree, "flaky"); h.State != Running || flaky.Load() != 2 {
			t.Errorf("a first failure waits for a service that fails often: %+v", h)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestStableRunResetsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := newTree()
		var runs atomic.Int32
		tree.Add("loop", Func("", func(ctx context.Context) error {
			if runs.Add(1) == 10 { // far into the back-off, run well for once
				time.Sleep(stableAfter)
			}
			return errBroken
		}))
		stop := start(t, tree)
		for runs.Load() < 10 {
			time.Sleep(time.Second)
		}
		time.Sleep(stableAfter + firstPause*3/2)
		synctest.Wait()
		if n := runs.Load(); n < 11 {
			t.Errorf("%d runs: the failure after a stable run waited as long as the ones before", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRemove(t *testing.T) {
	t.Run("running service ends before Remove returns", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tree := newTree()
			stop := start(t, tree)
			var ended atomic.Bool
			token := tree.Add("loop", Func("", func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Second) // writes its last state
				ended.Store(true)
				return nil
			}))
			synctest.Wait()
			if err := tree.Remove(token, 2*time.Second); err != nil || !ended.Load() {
				t.Errorf("Remove = %v, ended %v", err, ended.Load())
			}
			if n := len(tree.Health()); n != 0 {
				t.Errorf("%d services still listed", n)
			}
			if err := tree.Remove(token, time.Second); !errors.Is(err, core.NotFound) {
				t.Errorf("second Remove = %v, want not found", err)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("stuck service is reported", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tree := newTree()
			stop := start(t, tree)
			release := make(chan struct{})
			token := tree.Add("stuck", Func("", func(context.Context) error { <-release; return nil }))
			synctest.Wait()
			err := tree.Remove(token, time.Second)
			if !errors.Is(err, core.Timeout) || !strings.Contains(err.Error(), "stuck") {
				t.Errorf("Remove = %v, want a timeout that names the service", err)
			}
			close(release)
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("service in back-off runs no more", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tree := newTree()
			stop := start(t, tree)
			var runs atomic.Int32
			token := tree.Add("loop", Func("", func(context.Context) error { runs.Add(1); return errBroken }))
			synctest.Wait()
			before := time.Now()
			if err := tree.Remove(token, time.Second); err != nil || time.Since(before) != 0 {
				t.Errorf("Remove = %v after %s, want at once", err, time.Since(before))
			}
			time.Sleep(time.Hour)
			if n := runs.Load(); n != 1 {
				t.Errorf("%d runs, want 1", n)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("service removed before the tree starts never runs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tree := newTree()
			token := tree.Add("loop", Func("", func(context.Context) error { t.Error("ran"); return Done }))
			if h := find(t, tree, "loop"); h.State != Waiting {
				t.Errorf("state %s before the start", h.State)
			}
			if err := tree.Remove(token, time.Second); err != nil {
				t.Error(err)
			}
			stop := start(t, tree)
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("foreign and zero tokens", func(t *testing.T) {
		foreign := newTree().Add("loop", Func("", idle))
		for _, token := range []Token{{}, foreign} {
			if err := newTree().Remove(token, time.Second); !errors.Is(err, core.NotFound) {
				t.Errorf("Remove = %v, want not found", err)
			}
		}
	})
}

// A role is a subtree: it comes and goes as a whole while the rest works on.
func TestSubtree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := newTree()
		root.Add("", Func("host", idle))
		stop := start(t, root)
		var up atomic.Int32
		part := func(ctx context.Context) error { up.Add(1); defer up.Add(-1); return idle(ctx) }

		for round := range 3 {
			role := root.Sub("regional")
			role.Add("coordinator", Func("", part))
			role.Add("validator", Func("", part))
			token := root.Add("", role)
			synctest.Wait()
			if up.Load() != 2 {
				t.Fatalf("round %d: %d services up, want 2", round, up.Load())
			}
			var names []string
			for _, h := range root.Health() {
				names = append(names, h.Name+" "+string(h.State))
			}
			want := "host running, regional running, regional/coordinator running, regional/validator running"
			if got := strings.Join(names, ", "); got != want {
				t.Errorf("health %q, want %q", got, want)
			}
			if err := root.Remove(token, time.Second); err != nil || up.Load() != 0 {
				t.Fatalf("round %d: Remove = %v with %d services up", round, err, up.Load())
			}
		}
		if h := find(t, root, "host"); h.State != Running || h.Restarts != 0 {
			t.Errorf("host was disturbed: %+v", h)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestFatalInSubtreeStopsTheRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := newTree()
		root.Add("host", Func("", idle))
		role := root.Sub("local")
		role.Add("disk", Func("", func(context.Context) error {
			time.Sleep(time.Minute)
			return Fatal(3, errBroken)
		}))
		root.Add("local", role)
		err := root.Serve(t.Context())
		if code, fatal := ExitCode(err); !fatal || code != 3 || !errors.Is(err, errBroken) {
			t.Errorf("Serve = %v, exit code %d, fatal %v", err, code, fatal)
		}
		for _, h := range root.Health() {
			if h.State != Finished {
				t.Errorf("%s is %s after the end", h.Name, h.State)
			}
		}
	})
}

// A journal that cannot write its end must not let the process exit with 0.
func TestFatalWhileStoppingKeepsItsCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := newTree()
		tree.Add("journal", Func("", func(ctx context.Context) error {
			<-ctx.Done()
			return Fatal(9, errBroken)
		}))
		if code, _ := ExitCode(start(t, tree)()); code != 9 {
			t.Errorf("exit code %d, want 9", code)
		}
	})
}

func TestStuckServiceDoesNotHoldUpTheExit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		tree := New("node", zerolog.New(&log))
		release := make(chan struct{})
		tree.Add("stuck", Func("", func(context.Context) error { <-release; return nil }))
		stop := start(t, tree)
		before := time.Now()
		if err := stop(); err != nil || time.Since(before) != StopTimeout {
			t.Errorf("Serve = %v after %s, want %s", err, time.Since(before), StopTimeout)
		}
		if !strings.Contains(log.String(), `"service":"stuck"`) || !strings.Contains(log.String(), "did not stop in time") {
			t.Errorf("log does not name the stuck service: %s", log.String())
		}
		close(release)
	})
}

func TestTreeServesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := newTree()
		stop := start(t, tree)
		if err := tree.Serve(t.Context()); !errors.Is(err, Done) {
			t.Errorf("Serve while serving = %v", err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := tree.Serve(t.Context()); !errors.Is(err, Done) {
			t.Errorf("Serve after the end = %v", err)
		}
	})
}

func TestPanicIsLoggedWithItsStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		tree := New("node", zerolog.New(&log))
		tree.Add("loop", Func("", func(ctx context.Context) error { return explode() }))
		if err := start(t, tree)(); err != nil {
			t.Error(err)
		}
		line := log.String()
		for _, want := range []string{`"level":"error"`, `"tree":"node"`, `"service":"loop"`, "panic: boom", "explode"} {
			if !strings.Contains(line, want) {
				t.Errorf("log lacks %s: %s", want, line)
			}
		}
	})
}

func explode() error { panic("boom") }

func TestHealthBoundsTheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := newTree()
		tree.Add("loop", Func("", func(context.Context) error { return errors.New(strings.Repeat("x", 1<<20)) }))
		stop := start(t, tree)
		if n := len(find(t, tree, "loop").LastError); n != maxMessage {
			t.Errorf("LastError has %d bytes, want %d", n, maxMessage)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestEvery(t *testing.T) {
	t.Run("at once and then periodically", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			var calls []time.Duration
			ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
			defer cancel()
			err := Every("tick", 10*time.Second, 0, func(context.Context) error {
				calls = append(calls, time.Since(begin))
				return nil
			}).Serve(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || len(calls) != 4 || calls[0] != 0 || calls[3] != 30*time.Second {
				t.Errorf("calls at %v, error %v", calls, err)
			}
		})
	})
	t.Run("jitter stays below its bound and varies", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			last, pauses := time.Now(), map[time.Duration]bool{}
			_ = Every("tick", time.Second, time.Second, func(context.Context) error {
				if d := time.Since(last); d != 0 {
					pauses[d] = true
					if d < time.Second || d >= 2*time.Second {
						t.Errorf("pause of %s", d)
					}
				}
				last = time.Now()
				return nil
			}).Serve(ctx)
			if len(pauses) < 100 {
				t.Errorf("%d different pauses: no jitter", len(pauses))
			}
		})
	})
	t.Run("an error is the service's", func(t *testing.T) {
		err := Every("tick", time.Second, 0, func(context.Context) error { return errBroken }).Serve(t.Context())
		if !errors.Is(err, errBroken) {
			t.Errorf("Serve = %v", err)
		}
	})
}

// A service may add another one, and may be added while the tree stops.
func TestAddFromAServiceAndAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := newTree()
		var child atomic.Bool
		tree.Add("parent", Func("", func(ctx context.Context) error {
			tree.Add("child", Func("", func(ctx context.Context) error { child.Store(true); return idle(ctx) }))
			return Done
		}))
		stop := start(t, tree)
		if !child.Load() {
			t.Error("child does not run")
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		token := tree.Add("late", Func("", func(context.Context) error { t.Error("ran in a stopped tree"); return Done }))
		synctest.Wait()
		if err := tree.Remove(token, time.Second); err != nil {
			t.Error(err)
		}
	})
}

func ExampleTree() {
	tree := New("node", zerolog.Nop())
	tree.Add("", Every("housekeeping", time.Hour, time.Minute, func(context.Context) error {
		return Fatal(4, errors.New("home directory is gone"))
	}))
	err := tree.Serve(context.Background())
	code, _ := ExitCode(err)
	fmt.Println(code, err)
	// Output: 4 home directory is gone
}
