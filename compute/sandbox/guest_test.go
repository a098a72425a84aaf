package sandbox

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

// TestStillborn: a node that stops while a child greets is no bug and no failure of
// the job; a child that dies by itself then is one.
func TestStillborn(t *testing.T) {
	for name, c := range map[string]struct {
		end  ending
		want core.Kind
	}{
		"the node stops":   {ending{Cancelled, "the node is stopping"}, core.Unavailable},
		"it dies":          {ending{Crash, "exit status 3"}, core.Internal},
		"it has no memory": {ending{MemoryLimit, "the child ran out of memory"}, core.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			g := &guest{hello: make(chan greeting, 1), gone: make(chan struct{}), end: c.end}
			close(g.gone)
			if _, err := g.greeted(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestDiesStuck: a child that has a reason to end does so although nobody reads
// what it writes, and the reason is known afterwards.
func TestDiesStuck(t *testing.T) {
	p := serve(t, Config{Warm: -1})
	begun, release, done := make(chan struct{}), make(chan struct{}), make(chan Result, 1)
	var first sync.Once
	go func() {
		res, _ := p.Run(t.Context(), Job{Handler: "panic stuck", Limits: Limits{Wall: time.Hour, Output: maxOutput}, Output: func(core.Stream, []byte) {
			first.Do(func() { close(begun) })
			<-release
		}})
		done <- res
	}()
	<-begun
	p.mu.Lock()
	pid := 0
	for g := range p.all {
		pid = g.proc.Pid
	}
	p.mu.Unlock()
	limit, tick := time.After(2*time.Minute), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for dead := false; !dead; dead = !alive(pid) {
		select {
		case <-tick.C:
		case <-limit:
			close(release)
			t.Fatal("the child goes on")
		}
	}
	close(release)
	if res := <-done; res.Reason != Crash || !strings.Contains(res.Message, "panic: in the crowd") {
		t.Errorf("%q %s", res.Reason, res.Message)
	}
}
