package local_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/roles"
	"github.com/tenzro/tenzro/roles/local"
	"github.com/tenzro/tenzro/roles/rolestest"
	"github.com/tenzro/tenzro/wire"
)

const trainer = core.TierTrainer

func size(cores int, gib int64) core.Resources {
	return core.Resources{Cores: cores, MemoryMB: gib << 10, DiskMB: 1000}
}

func tierOf(r core.Resources) core.Tier { return compute.Profile{Resources: r}.Tier() }

// world is one region on virtual time.
type world struct {
	t   *testing.T
	hub *rolestest.Hub
}

// machine is one node of it.
type machine struct {
	*local.Aggregations
	id     core.NodeID
	busy   atomic.Bool
	region atomic.Value // core.RegionID
	sub    *event.Subscription
	start  time.Time
	stop   func()
}

// bubble runs fn on virtual time and fails when it leaves a goroutine.
func bubble(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	defer goleak.VerifyNone(t)
	synctest.Test(t, func(t *testing.T) { fn(t, &world{t: t, hub: rolestest.NewHub()}) })
}

func (w *world) machine(id core.NodeID, offers core.Resources) *machine {
	bus := event.New(0)
	m := &machine{id: id, sub: bus.Subscribe(0, 1000), start: time.Now()}
	m.region.Store(core.RegionID("us-east"))
	m.Aggregations = local.NewAggregations(local.AggregationDeps{
		ID: id, Channel: w.hub.Channel(id), Events: bus, TierOf: tierOf,
		Region: func() core.RegionID { return m.region.Load().(core.RegionID) },
		Offers: func() core.Resources { return offers },
		Tier:   func() core.Tier { return tierOf(offers) },
		Idle:   func() bool { return !m.busy.Load() },
	}, zerolog.Nop())
	m.serve(w.t)
	return m
}

// serve runs the machine until stop or the end of the test.
func (m *machine) serve(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Serve(ctx) }()
	synctest.Wait()
	stopped := false
	m.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("serving ended with %v", err)
		}
	}
	t.Cleanup(m.stop)
}

func (m *machine) propose(t *testing.T, timeout time.Duration) string {
	t.Helper()
	id, err := m.Propose(t.Context(), trainer, timeout)
	if err != nil {
		t.Fatalf("%s proposing: %v", m.id, err)
	}
	synctest.Wait()
	return id
}

// told returns the events since the last call as "seconds name reason members".
func (m *machine) told() []string {
	synctest.Wait()
	lines := []string{}
	for len(m.sub.C()) > 0 {
		e := <-m.sub.C()
		d := e.Data.(local.AggregationEvent)
		line := fmt.Sprintf("%gs %s %s", e.At.Sub(m.start).Seconds(), strings.TrimPrefix(string(e.Name), "aggregation_"), d.Reason)
		for _, id := range d.Members {
			line += " " + string(id)
		}
		lines = append(lines, strings.ReplaceAll(strings.TrimSpace(line), "  ", " "))
	}
	return lines
}

func (w *world) expect(m *machine, with string, want ...string) {
	w.t.Helper()
	if got := m.told(); !slices.Equal(got, want) {
		w.t.Errorf("%s tells %q, want %q", m.id, got, want)
	}
	if got := m.AggregatedWith(); got != with {
		w.t.Errorf("%s is aggregated with %q, want %q", m.id, got, with)
	}
}

// said returns how often id said outcome.
func (w *world) said(id core.NodeID, outcome string) (n int) {
	for _, a := range w.hub.Told() {
		if v, ok := a.Body.(*wire.AggregationVote); ok && a.From == id && v.Outcome == outcome {
			n++
		}
	}
	return n
}

// Nodes of a region gather to a group of a higher tier by what they have, no
// larger than needed, and it stays as long as they do.
//
// spec 0.19 0.22 0.70 0.74 4.2
func TestAggregationForms(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.machine("a", size(4, 8)), w.machine("b", size(2, 4)), w.machine("c", size(4, 8))
		full := w.machine("full", size(16, 32)) // is a trainer alone
		id := a.propose(t, time.Minute)
		if home, ok := core.TaskID(id).Home(); !ok || home != "us-east" {
			t.Errorf("id %q does not carry its region", id)
		}
		w.expect(a, id, "0s proposed", "0s succeeded a c")
		w.expect(b, "", "0s proposed", "0s failed not_needed")
		w.expect(c, id, "0s proposed", "0s succeeded a c")
		w.expect(full, "")
		time.Sleep(time.Hour + time.Second)
		w.expect(a, id)
		w.expect(c, id)
		if n := w.said("a", roles.VoteFormed); n != 121 {
			t.Errorf("announced %d times in an hour, want every 30 s", n)
		}
		if n := w.said("c", roles.VoteJoin); n != 122 {
			t.Errorf("the member answered %d times, want once before and at each announcement", n)
		}
	})
}

// A group may need many.
//
// spec 4.2
func TestAggregationOfMany(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		nodes := []*machine{}
		for i := range 10 {
			nodes = append(nodes, w.machine(core.NodeID(fmt.Sprint("n", i)), size(1, 2)))
		}
		id := nodes[0].propose(t, time.Minute)
		in := 0
		for _, m := range nodes {
			if m.AggregatedWith() == id {
				in++
			}
		}
		if in != 8 {
			t.Errorf("%d nodes of 1 core and 2 GiB make a trainer, want 8", in)
		}
	})
}

// spec 0.70 0.71 0.74
func TestAggregationTimesOut(t *testing.T) {
	for name, c := range map[string]struct{ timeout, want time.Duration }{
		"the documented minute": {60000 * time.Millisecond, time.Minute},
		"the default":           {0, local.DefaultProposal},
		"the shortest":          {local.MinProposal, local.MinProposal},
		"the longest":           {local.MaxProposal, local.MaxProposal},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a, b := w.machine("a", size(2, 4)), w.machine("b", size(2, 4))
				a.propose(t, c.timeout)
				time.Sleep(c.want - 1)
				w.expect(a, "", "0s proposed")
				w.expect(b, "", "0s proposed")
				time.Sleep(1)
				w.expect(a, "", fmt.Sprintf("%gs failed timeout", c.want.Seconds()))
				w.expect(b, "", fmt.Sprintf("%gs failed dissolved", c.want.Seconds()))
				a.propose(t, c.timeout) // and again
			})
		})
	}
}

func TestAggregationRefusesProposals(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(w *world, a *machine)
		target  core.Tier
		timeout time.Duration
		kind    core.Kind
		op      string
	}{
		{"too short", nil, trainer, local.MinProposal - 1, core.Invalid, "timeout"},
		{"too long", nil, trainer, local.MaxProposal + 1, core.Invalid, "timeout"},
		{"negative", nil, trainer, -1, core.Invalid, "timeout"},
		{"own tier", nil, core.TierAggregator, 0, core.Invalid, "targetTier"},
		{"lower tier", nil, core.TierInference, 0, core.Invalid, "targetTier"},
		{"no tier", nil, core.TierAny, 0, core.Invalid, "targetTier"},
		{"unknown tier", nil, trainer + 1, 0, core.Invalid, "targetTier"},
		{"no region", func(_ *world, a *machine) { a.region.Store(core.RegionID("")) }, trainer, 0, core.Unavailable, "region"},
		{"nobody reached", func(w *world, _ *machine) { w.hub.Cut("a", true) }, trainer, 0, core.Unavailable, "channel"},
		{"proposing already", func(w *world, a *machine) { a.propose(w.t, 0) }, trainer, 0, core.Conflict, "aggregation"},
		{"promised", func(w *world, _ *machine) { w.machine("b", size(2, 2)).propose(w.t, 0) }, trainer, 0, core.Conflict, "aggregation"},
		{"in one", func(w *world, _ *machine) { w.machine("b", size(6, 12)).propose(w.t, 0) }, trainer, 0, core.Conflict, "aggregation"},
		{"not serving", func(_ *world, a *machine) { a.stop() }, trainer, 0, core.Unavailable, "aggregations"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.machine("a", size(4, 8))
				if c.prepare != nil {
					c.prepare(w, a)
				}
				before := len(w.hub.Told())
				_, err := a.Propose(t.Context(), c.target, c.timeout)
				var e *core.Error
				if !errors.As(err, &e) || e.Kind != c.kind || e.Op != c.op {
					t.Errorf("got %v, want %s about %s", err, c.kind, c.op)
				}
				if after := len(w.hub.Told()); after != before {
					t.Errorf("%d messages were sent", after-before)
				}
			})
		})
	}
}

// A node holds one promise at a time, and gives the next only when it is free.
func TestAggregationRivals(t *testing.T) {
	t.Run("the first takes it", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			a, b, c := w.machine("a", size(2, 4)), w.machine("b", size(4, 8)), w.machine("c", size(4, 8))
			b.busy.Store(true) // proposes, does not join
			a.propose(t, 10*time.Second)
			id := b.propose(t, time.Minute)
			w.expect(c, "", "0s proposed")
			time.Sleep(10 * time.Second)
			w.expect(a, "", "0s proposed", "10s failed timeout", "10s proposed", "10s failed not_needed")
			w.expect(b, id, "0s proposed", "10s succeeded b c")
			w.expect(c, id, "10s failed dissolved", "10s proposed", "10s succeeded b c")
		})
	})
	t.Run("proposers do not join each other", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			a, b := w.machine("a", size(4, 8)), w.machine("b", size(4, 8))
			a.busy.Store(true)
			b.busy.Store(true)
			a.propose(t, time.Second)
			b.propose(t, 2*time.Second)
			time.Sleep(2 * time.Second)
			w.expect(a, "", "0s proposed", "1s failed timeout")
			w.expect(b, "", "0s proposed", "2s failed timeout")
		})
	})
	t.Run("a node that could not tell tries again", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			a, b := w.machine("a", size(4, 8)), w.machine("b", size(4, 8))
			b.busy.Store(true)
			id := a.propose(t, time.Minute)
			w.hub.Cut("b", true)
			b.busy.Store(false)
			time.Sleep(20*time.Second + time.Millisecond)
			w.expect(b, "")
			w.hub.Cut("b", false)
			time.Sleep(time.Second)
			w.expect(b, id, "21s proposed", "21s succeeded a b")
		})
	})
	t.Run("a busy node joins once it is idle", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			a, b := w.machine("a", size(4, 8)), w.machine("b", size(4, 8))
			b.busy.Store(true)
			id := a.propose(t, time.Minute)
			time.Sleep(20*time.Second + time.Millisecond)
			w.expect(b, "")
			b.busy.Store(false)
			time.Sleep(time.Second)
			w.expect(a, id, "0s proposed", "21s succeeded a b")
			w.expect(b, id, "21s proposed", "21s succeeded a b")
		})
	})
}

// An aggregation ends for all when one leaves, in whatever way.
func TestAggregationEndsWhenAMemberLeaves(t *testing.T) {
	leave := func(m *machine) func(*testing.T) {
		return func(t *testing.T) {
			if err := m.Leave(t.Context()); err != nil {
				t.Errorf("leaving: %v", err)
			}
		}
	}
	for name, how := range map[string]func(a, b *machine) (leaver, other *machine, act func(*testing.T)){
		"a member leaves":      func(a, b *machine) (*machine, *machine, func(*testing.T)) { return b, a, leave(b) },
		"the proposer leaves":  func(a, b *machine) (*machine, *machine, func(*testing.T)) { return a, b, leave(a) },
		"a member's role ends": func(a, b *machine) (*machine, *machine, func(*testing.T)) { return b, a, func(*testing.T) { b.stop() } },
		"the proposer's role ends": func(a, b *machine) (*machine, *machine, func(*testing.T)) {
			return a, b, func(*testing.T) { a.stop() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a, b, c := w.machine("a", size(3, 6)), w.machine("b", size(3, 6)), w.machine("c", size(3, 6))
				id := a.propose(t, time.Minute)
				for _, m := range []*machine{a, b, c} {
					if m.told(); m.AggregatedWith() != id {
						t.Fatalf("%s is not in it", m.id)
					}
				}
				time.Sleep(40 * time.Second)
				leaver, other, act := how(a, b)
				act(t)
				for m, reason := range map[*machine]string{leaver: "left", other: "dissolved", c: "dissolved"} {
					if got := m.told(); len(got) != 1 || !strings.HasPrefix(got[0], "40s failed "+reason+" a ") || m.AggregatedWith() != "" {
						t.Errorf("%s tells %q", m.id, got)
					}
				}
				if err := leaver.Leave(t.Context()); err != nil {
					t.Errorf("leaving nothing: %v", err)
				}
			})
		})
	}
}

// A node that leaves before it is formed takes its resources with it.
func TestAggregationPromiseWithdrawn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.machine("a", size(3, 6)), w.machine("b", size(3, 6))
		id := a.propose(t, time.Minute)
		if err := b.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.busy.Store(true)
		c := w.machine("c", size(3, 6)) // too late to hear the proposal
		w.hub.Say("c", &wire.AggregationVote{ID: id, Voter: "c", Outcome: roles.VoteJoin, Offers: size(3, 6), Members: []core.NodeID{"a"}})
		time.Sleep(time.Second)
		w.expect(a, "", "0s proposed")
		w.expect(b, "", "0s proposed", "0s failed left")
		w.expect(c, "")
	})
}

// Who leaves while nobody can be told has left; the others learn it by silence.
func TestAggregationLeaveUnheard(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.machine("a", size(4, 8)), w.machine("b", size(4, 8))
		id := a.propose(t, time.Minute)
		w.hub.Cut("b", true)
		if err := b.Leave(t.Context()); core.KindOf(err) != core.Unavailable {
			t.Errorf("leaving: %v", err)
		}
		w.expect(a, id, "0s proposed", "0s succeeded a b")
		w.expect(b, "", "0s proposed", "0s succeeded a b", "0s failed left a b")
		time.Sleep(roles.AggregationSilence)
		w.expect(a, "", "95s failed silent a b")
	})
}

// Three missed announcements are the end; fewer are not.
func TestAggregationEndsInSilence(t *testing.T) {
	const sec = time.Second
	for _, c := range []struct {
		name    string
		cut     core.NodeID
		back    time.Duration // after the cut; 0 = never
		a, b, c string        // what each tells
	}{
		// All were last heard at 30 s; the cut is at 40 s.
		{"the proposer dies", "a", 0, "125s failed silent", "125s failed silent", "125s failed silent"},
		{"a member dies", "b", 0, "125s failed silent", "125s failed silent", "125s failed dissolved"},
		{"the proposer misses two", "a", 70 * sec, "", "", ""},
		{"a member misses two", "b", 70 * sec, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				nodes := []*machine{w.machine("a", size(3, 6)), w.machine("b", size(3, 6)), w.machine("c", size(3, 6))}
				id := nodes[0].propose(t, time.Minute)
				for _, m := range nodes {
					m.told()
				}
				time.Sleep(40 * sec)
				w.hub.Cut(c.cut, true)
				if c.back > 0 {
					time.Sleep(c.back)
					w.hub.Cut(c.cut, false)
				}
				time.Sleep(10 * time.Minute)
				for i, want := range []string{c.a, c.b, c.c} {
					m := nodes[i]
					got := strings.Join(m.told(), ", ")
					if !strings.HasPrefix(got, want) || (want == "") != (got == "") {
						t.Errorf("%s tells %q, want %q", m.id, got, want)
					}
					if (m.AggregatedWith() == id) != (want == "") {
						t.Errorf("%s is aggregated with %q", m.id, m.AggregatedWith())
					}
				}
			})
		})
	}
}

// A promise ends by itself when its proposer is never heard of again.
func TestAggregationPromiseLapses(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.machine("a", size(2, 4)), w.machine("b", size(2, 4))
		a.propose(t, time.Minute)
		w.hub.Cut("a", true)
		time.Sleep(2 * time.Minute)
		w.expect(a, "", "0s proposed", "60s failed timeout")
		w.expect(b, "", "0s proposed", "65s failed timeout")
	})
}

// A proposer that starts anew has forgotten what it was in.
func TestAggregationProposerRestarts(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.machine("a", size(4, 8)), w.machine("b", size(4, 8))
		a.propose(t, time.Minute)
		b.told()
		w.hub.Cut("a", true) // it cannot say goodbye
		a.stop()
		w.hub.Cut("a", false)
		a.serve(t)
		id := a.propose(t, time.Minute)
		w.expect(b, id, "0s failed dissolved a b", "0s proposed", "0s succeeded a b")
	})
}

// A formed aggregation that cannot be announced at once is announced as soon as
// it can: nobody waits for the next period.
func TestAggregationAnnouncesAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.machine("a", size(4, 8)), w.machine("b", size(4, 8))
		b.busy.Store(true)
		id := a.propose(t, time.Minute)
		v := rolestest.Vote("b", roles.VoteJoin, "a")
		v.ID, v.Offers = id, size(4, 8)
		w.hub.Cut("b", true)
		w.hub.Say("b", v)
		w.hub.Cut("a", true) // before a could announce
		time.Sleep(10*time.Second + 1)
		w.expect(a, id, "0s proposed", "0s succeeded a b")
		w.hub.Cut("a", false)
		time.Sleep(time.Second)
		if n := w.said("a", roles.VoteFormed); n != 1 {
			t.Errorf("announced %d times", n)
		}
	})
}
