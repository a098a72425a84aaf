package container

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/service"
)

const (
	// lookEvery is how often the engine and its images are looked at.
	lookEvery = 30 * time.Second
	// lookTimeout bounds one look.
	lookTimeout = time.Minute
	// sweepEvery is how often what a node that died left behind is looked for; when
	// something could not be removed it is looked for with the next look.
	sweepEvery = time.Hour
	// pullEvery is the pause between two attempts to fetch images that are missing.
	pullEvery = 10 * time.Minute
	// pullTimeout bounds fetching one image.
	pullTimeout = 30 * time.Minute
)

var _ service.Service = (*Executor)(nil)

// Serve looks at the engine until ctx ends: only what it finds is announced and run. It
// removes what an earlier run of this node left.
func (e *Executor) Serve(ctx context.Context) error {
	if !e.cfg.On {
		return service.Done
	}
	defer e.become(&state{why: "the node stops"})
	timer := time.NewTimer(0)
	defer timer.Stop()
	var swept, pulled time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-e.kick:
		}
		e.examine(ctx)
		if host := e.state.Load().host; host != nil {
			if e.dirty.Swap(false) || time.Since(swept) >= sweepEvery {
				e.sweep(ctx, host)
				swept = time.Now()
			}
			if e.cfg.Pull && len(host.Missing) > 0 && time.Since(pulled) >= pullEvery {
				e.pull(ctx, host)
				pulled = time.Now()
				e.examine(ctx)
			}
		}
		timer.Reset(lookEvery)
	}
}

// examine looks at the engine and its images.
func (e *Executor) examine(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	host, err := Find(ctx, e.cfg.Socket, e.cfg.Images)
	switch {
	case err != nil:
		e.become(&state{why: err.Error()})
	case len(host.images) == 0:
		e.become(&state{host: host, why: "its engine has none of the images that its operator allows"})
	default:
		e.become(&state{host: host})
	}
}

// become makes s the state and tells who has to know.
func (e *Executor) become(s *state) {
	old := e.state.Swap(s)
	if old.host != nil && old.host != s.host {
		old.host.Close() // what runs in it keeps its own connections
	}
	e.metrics.images.Set(float64(max(0, len(s.runtimes())-1)))
	if old.why != s.why {
		if s.why != "" {
			e.log.Warn().Str("cause", s.why).Msg("no containers are run; look with `tenzro doctor`")
		} else {
			e.log.Info().Str("engine", s.host.Version).Int("images", len(s.host.images)).Msg("containers are run")
		}
	}
	if !slices.Equal(old.runtimes(), s.runtimes()) && e.cfg.Changed != nil {
		e.cfg.Changed()
	}
}

// runtimes is what is announced in a state.
func (s *state) runtimes() []core.TaskType {
	if s.host == nil || len(s.host.images) == 0 {
		return nil
	}
	all := []core.TaskType{Type}
	for _, ref := range s.host.images {
		all = append(all, ref.Runtime())
	}
	slices.Sort(all)
	return all
}

// sweep removes every container and volume that this node's name is on and that does not
// run now.
func (e *Executor) sweep(ctx context.Context, host *Host) {
	ctx, cancel := context.WithTimeout(ctx, tidyTimeout)
	defer cancel()
	node := string(e.cfg.Node)
	// The lists come first: what is made after them is not in them.
	containers, err := host.engine.Containers(ctx, label, node)
	volumes, err2 := host.engine.Volumes(ctx, label, node)
	err = errors.Join(err, err2)
	for _, name := range e.left(containers) {
		err = errors.Join(err, host.engine.Remove(ctx, name))
		e.metrics.swept.Inc()
	}
	for _, name := range e.left(volumes) {
		err = errors.Join(err, host.engine.RemoveVolume(ctx, name))
	}
	if err != nil {
		e.dirty.Store(true)
		e.log.Warn().Err(err).Msg("what was left of containers cannot be removed; it is tried again")
	}
}

// left returns the names that belong to nothing that runs.
func (e *Executor) left(names []string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(names, func(name string) bool { return e.live[name] || !strings.HasPrefix(name, namePrefix) })
}

// pull has the engine fetch what is missing, by digest.
func (e *Executor) pull(ctx context.Context, host *Host) {
	for _, ref := range e.cfg.Images {
		if _, missing := host.Missing[ref.String()]; !missing || ref.Name == "" {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, pullTimeout)
		err := host.engine.Pull(limited, ref.Name, ref.Digest)
		cancel()
		if err != nil {
			e.log.Warn().Err(err).Str("image", ref.String()).Msg("an image cannot be pulled; it is tried again in ten minutes")
			continue
		}
		e.log.Info().Str("image", ref.String()).Msg("image pulled")
	}
}
