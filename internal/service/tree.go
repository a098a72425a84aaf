package service

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/thejerf/suture/v4"

	"github.com/tenzro/tenzro/core"
)

// StopTimeout is how long a tree waits for a service after telling it to stop.
// Too short loses what services write at their end, too long makes a stuck one
// hold up the exit.
const StopTimeout = 10 * time.Second

// Tree runs services and restarts those that fail. It is a Service itself, so a
// tree can be added to another. A tree serves once; for a second run make a new
// one.
type Tree struct {
	name string
	log  zerolog.Logger
	sup  *suture.Supervisor

	mu      sync.Mutex
	entries []*entry
	served  bool
	stop    context.CancelFunc // ends Serve; nil before it
	fatal   error              // the first fatal error
}

var _ Service = (*Tree)(nil)

// Token names an added service until it is removed.
type Token struct {
	entry *entry
	run   suture.ServiceToken
}

// New returns an empty tree that runs nothing until Serve.
func New(name string, log zerolog.Logger) *Tree {
	t := &Tree{name: name, log: log}
	t.sup = suture.New(name, suture.Spec{
		Timeout: StopTimeout,
		// Back-off is per service, in entry: suture would hold back every failed
		// service of the tree as soon as one fails often.
		FailureThreshold: math.Inf(1),
		EventHook:        t.onEvent,
	})
	return t
}

// Sub returns an empty tree with the same log, to be filled, added to t and
// removed from it as a whole.
func (t *Tree) Sub(name string) *Tree { return New(name, t.log) }

// String returns the tree's name.
func (t *Tree) String() string { return t.name }

// Add puts s under supervision and starts it, at once when the tree runs and
// otherwise with the tree. An empty name means the service's own.
func (t *Tree) Add(name string, s Service) Token {
	if named, ok := s.(fmt.Stringer); ok && name == "" {
		name = named.String()
	}
	e := newEntry(t, name, s)
	t.mu.Lock()
	t.entries = append(t.entries, e)
	t.mu.Unlock()
	return Token{entry: e, run: t.sup.Add(e)}
}

// Remove stops the service and returns when it has ended; core.Timeout means
// that it still runs after timeout, core.NotFound that it was not in this tree
// (any more). A service that removes itself waits for itself in vain.
func (t *Tree) Remove(token Token, timeout time.Duration) error {
	if !t.forget(token.entry) {
		return core.Errorf(core.NotFound, "remove service", "the service is not in tree %s", t.name)
	}
	ended := token.entry.retire()
	// The error says that the tree does not run: then nothing runs in it.
	_ = t.sup.Remove(token.run)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return core.Errorf(core.Timeout, "remove service", "service %s did not stop within %s", token.entry.name, timeout)
	}
}

func (t *Tree) forget(e *entry) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.entries, e)
	if e == nil || i < 0 {
		return false
	}
	t.entries = slices.Delete(t.entries, i, i+1)
	return true
}

// Serve runs the tree until ctx ends or a service is fatal, then stops every
// service. It returns the first fatal error, also one met while stopping, and
// nil when there was none.
func (t *Tree) Serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if !t.begin(stop) {
		return fmt.Errorf("%w: tree %s has served before", Done, t.name)
	}
	// Returns nothing but ctx's error: entries never let suture see another.
	_ = t.sup.Serve(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fatal
}

func (t *Tree) begin(stop context.CancelFunc) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.served {
		return false
	}
	t.served, t.stop = true, stop
	return true
}

// abort keeps the first fatal error and ends Serve.
func (t *Tree) abort(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fatal == nil {
		t.fatal = err
	}
	t.stop()
}

// onEvent logs what suture alone can see. Failures are logged by entry.
func (t *Tree) onEvent(e suture.Event) {
	late, ok := e.(suture.EventStopTimeout)
	if !ok {
		return
	}
	t.log.Error().Str("tree", t.name).Str("service", late.ServiceName).Dur("after", StopTimeout).
		Msg("service did not stop in time")
}
