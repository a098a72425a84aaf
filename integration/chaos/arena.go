package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tenzro/tenzro/integration/history"
)

// Arena is a network under load, as a scenario sees it.
type Arena struct {
	Net  *Network
	Rand *rand.Rand // from the run's seed; of the goroutine that injects
	Plan Plan
	// Loading is closed when the last job of the load has come.
	Loading chan struct{}

	log    *history.Log
	loader *loader
	logf   func(format string, args ...any)

	mu       sync.Mutex
	restarts int
	figures  map[string]string
}

// Note adds a figure of the scenario's own to the report.
func (a *Arena) Note(name, format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.figures[name] = fmt.Sprintf(format, args...)
}

// Pause waits, and reports whether the run goes on.
func (a *Arena) Pause(ctx context.Context, d time.Duration) bool { return pause(ctx, d) }

// PauseLoaded is Pause that also ends with the load; it says whether the load
// still comes.
func (a *Arena) PauseLoaded(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-a.Loading:
	case <-ctx.Done():
	}
	return false
}

func (a *Arena) hit(note string, nodes ...*Node) {
	a.log.Add(history.Event{Kind: history.Hit, Node: names(nodes), Note: note})
	a.logf("%s: %s", note, names(nodes))
}

func (a *Arena) healed(note string, nodes ...*Node) {
	a.log.Add(history.Event{Kind: history.Healed, Node: names(nodes), Note: note})
	a.logf("%s: %s", note, names(nodes))
}

func names(nodes []*Node) (s string) {
	for i, n := range nodes {
		if i > 0 {
			s += ", "
		}
		s += n.Name
	}
	return s
}

// Kill ends nodes with SIGKILL, all at once.
func (a *Arena) Kill(ctx context.Context, nodes ...*Node) error {
	a.count(ctx, nodes)
	errs := make([]error, len(nodes))
	var g sync.WaitGroup
	a.hit("kill -9", nodes...)
	for i, n := range nodes {
		g.Go(func() { errs[i] = n.kill() })
	}
	g.Wait()
	return errors.Join(errs...)
}

// Restart starts nodes again in their homes and waits until they serve.
func (a *Arena) Restart(ctx context.Context, nodes ...*Node) error {
	a.mu.Lock()
	a.restarts += len(nodes)
	a.mu.Unlock()
	if err := startAll(ctx, nodes); err != nil {
		return err
	}
	a.healed("restarted", nodes...)
	return nil
}

// Freeze stops nodes with SIGSTOP.
func (a *Arena) Freeze(nodes ...*Node) error {
	a.hit("freeze", nodes...)
	for _, n := range nodes {
		if err := n.freeze(); err != nil {
			return err
		}
	}
	return nil
}

// Thaw lets frozen nodes go on.
func (a *Arena) Thaw(nodes ...*Node) error {
	for _, n := range nodes {
		if err := n.thaw(); err != nil {
			return err
		}
	}
	a.healed("thawed", nodes...)
	return nil
}

// count writes down how many subtasks workers have completed; a worker that does
// not answer is left out.
func (a *Arena) count(ctx context.Context, nodes []*Node) {
	var g sync.WaitGroup
	for _, n := range nodes {
		if n.Kind != Worker || !n.Up() {
			continue
		}
		g.Go(func() {
			life := n.Life()
			if m, err := n.scrape(ctx); err == nil {
				a.log.Add(history.Event{Kind: history.Counted, Node: n.Name, Life: life, Count: uint64(m["tenzro_operations_total"]), Units: uint64(m["tenzro_earned_total"])})
			}
		})
	}
	g.Wait()
}

// calm ends every fault: the frozen go on, the dead are started again, and
// everybody hears everybody.
func (a *Arena) calm(ctx context.Context) error {
	var dead []*Node
	for _, n := range a.Net.Nodes {
		switch {
		case n.isFrozen():
			if err := a.Thaw(n); err != nil {
				return err
			}
		case n.process().Ended() && !a.Plan.Gone[n.Kind]:
			dead = append(dead, n)
		}
	}
	if a.Net.walls != nil {
		if err := a.Net.walls.heal(ctx); err != nil {
			return err
		}
	}
	if len(dead) == 0 {
		return nil
	}
	return a.Restart(ctx, dead...)
}
