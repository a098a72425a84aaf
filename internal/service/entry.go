package service

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rs/zerolog"
	"github.com/thejerf/suture/v4"
)

const (
	// firstPause and maxPause bound the wait before a failed service runs again;
	// it doubles from failure to failure, with a random half either way so that
	// nodes that failed together do not return together.
	firstPause = 250 * time.Millisecond
	maxPause   = 30 * time.Second
	// stableAfter is how long a run must last for the next failure to count as
	// the first.
	stableAfter = time.Minute
	// maxStack bounds how much of a panic's stack is logged.
	maxStack = 16 << 10
	// maxMessage bounds the error text that Health keeps.
	maxMessage = 1 << 10
)

// entry is one added service: suture runs it, entry applies the policy of the
// service's error and knows its health.
type entry struct {
	tree    *Tree
	name    string
	service Service
	log     zerolog.Logger
	pause   *backoff.ExponentialBackOff // used by Serve only

	mu      sync.Mutex
	health  Health
	retired bool          // removed: a run must not begin
	ended   chan struct{} // closed when no run is in progress
}

var _ suture.Service = (*entry)(nil)

func newEntry(t *Tree, name string, s Service) *entry {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval, pause.Multiplier = firstPause, maxPause, 2
	ended := make(chan struct{})
	close(ended)
	return &entry{
		tree: t, name: name, service: s, pause: pause, ended: ended,
		log:    t.log.With().Str("tree", t.name).Str("service", name).Logger(),
		health: Health{Name: name, State: Waiting, Since: time.Now()},
	}
}

// String lets suture name the service without printing its fields.
func (e *entry) String() string { return e.name }

// Serve is one run: the service, the policy of its error and, after a failure,
// the pause, at the end of which suture calls Serve again.
func (e *entry) Serve(ctx context.Context) error {
	end, ok := e.begin()
	if !ok {
		return suture.ErrDoNotRestart
	}
	defer end()
	started := time.Now()
	err := e.run(ctx)
	var fatal *FatalError
	switch {
	case errors.As(err, &fatal):
		e.log.Error().Err(err).Int("exit_code", fatal.Code).Msg("service failed fatally")
		e.finish(err)
		e.tree.abort(err)
		return suture.ErrDoNotRestart
	case errors.Is(err, Done):
		e.log.Info().AnErr("reason", reason(err)).Msg("service finished")
		e.finish(reason(err))
		return suture.ErrDoNotRestart
	case ctx.Err() != nil:
		e.stopped(err)
		return suture.ErrDoNotRestart
	}
	return e.failed(ctx, err, time.Since(started))
}

// run calls the service and makes an error of a panic and of an early nil.
func (e *entry) run(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			stack := debug.Stack()
			err = fmt.Errorf("panic: %v", v)
			e.log.Error().Err(err).Bytes("stack", stack[:min(len(stack), maxStack)]).Msg("service panicked")
		}
	}()
	e.log.Debug().Msg("service starts")
	if err := e.service.Serve(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	return errors.New("service returned before it was told to stop")
}

// failed records the failure and waits out the pause or ctx.
func (e *entry) failed(ctx context.Context, err error, lasted time.Duration) error {
	if lasted >= stableAfter {
		e.pause.Reset()
	}
	pause := e.pause.NextBackOff()
	e.update(func(h *Health) {
		h.State, h.LastError, h.Since = BackingOff, text(err), time.Now()
		h.Restarts++
	})
	e.log.Warn().Err(err).Dur("restart_in", pause).Msg("service failed")
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return err
	case <-ctx.Done():
		e.finish(err)
		return suture.ErrDoNotRestart
	}
}

// stopped notes the end of a service that was told to stop.
func (e *entry) stopped(err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		e.finish(nil)
		return
	}
	e.log.Warn().Err(err).Msg("service failed while stopping")
	e.finish(err)
}

func (e *entry) finish(err error) {
	e.update(func(h *Health) {
		h.State, h.Since = Finished, time.Now()
		if err != nil {
			h.LastError = text(err)
		}
	})
}

// begin marks a run as in progress, unless the service was removed; end marks it
// as over.
func (e *entry) begin() (end func(), ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.retired {
		return nil, false
	}
	ended := make(chan struct{})
	e.ended = ended
	e.health.State, e.health.Since = Running, time.Now()
	return func() { close(ended) }, true
}

// retire keeps further runs from beginning and returns the end of the current.
func (e *entry) retire() (ended <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.retired = true
	return e.ended
}

func (e *entry) update(change func(*Health)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.health)
}

// reason is what a finished service said beside Done, nil when nothing.
func reason(err error) error {
	if err == error(Done) {
		return nil
	}
	return err
}

func text(err error) string {
	msg := err.Error()
	return msg[:min(len(msg), maxMessage)]
}
