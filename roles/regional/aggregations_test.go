package regional_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	"github.com/tenzro/tenzro/roles/regional"
	"github.com/tenzro/tenzro/roles/rolestest"
	"github.com/tenzro/tenzro/wire"
)

// watcher is a regional node's view of the aggregations on a hub.
type watcher struct {
	*regional.Aggregations
	t    *testing.T
	hub  *rolestest.Hub
	sub  *event.Subscription
	from time.Time
	free map[core.NodeID]core.Capacity
}

// watched runs fn on virtual time and fails when it leaves a goroutine.
func watched(t *testing.T, fn func(t *testing.T, w *watcher)) {
	t.Helper()
	defer goleak.VerifyNone(t)
	synctest.Test(t, func(t *testing.T) {
		bus := event.New(1 << 14)
		w := &watcher{t: t, hub: rolestest.NewHub(), sub: bus.Subscribe(0, 4096), from: time.Now(), free: map[core.NodeID]core.Capacity{
			"a": {CPU: 1, Memory: 0.5, Storage: 0.25}, "b": {CPU: 0.5, Memory: 0.25, Storage: 0.75}, "c": {}}}
		w.Aggregations = regional.NewAggregations(regional.AggregationDeps{
			Region: func() core.RegionID { return "us-east" }, Channel: w.hub.Channel("regional"), Events: bus,
			CapacityOf: func(id core.NodeID) (core.Capacity, bool) { c, ok := w.free[id]; return c, ok },
		}, zerolog.Nop())
		serve(t, w.Serve)
		fn(t, w)
	})
}

// serve runs a loop until the end of the test and returns what ends it sooner.
func serve(t *testing.T, loop func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- loop(ctx) }()
	synctest.Wait()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("serving ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// node adds a real local node of 4 cores and 8 GiB.
func (w *watcher) node(id core.NodeID) (n *local.Aggregations, stop func()) {
	offers := core.Resources{Cores: 4, MemoryMB: 8 << 10}
	tierOf := func(r core.Resources) core.Tier { return compute.Profile{Resources: r}.Tier() }
	n = local.NewAggregations(local.AggregationDeps{ID: id, Channel: w.hub.Channel(id), Events: event.New(1), TierOf: tierOf,
		Region: func() core.RegionID { return "us-east" }, Offers: func() core.Resources { return offers },
		Tier: func() core.Tier { return tierOf(offers) }, Idle: func() bool { return true }}, zerolog.Nop())
	return n, serve(w.t, n.Serve)
}

// changes returns the events since the last call as "seconds state id-suffix members".
func (w *watcher) changes() []string {
	synctest.Wait()
	lines := []string{}
	for len(w.sub.C()) > 0 {
		e := <-w.sub.C()
		d := e.Data.(regional.AggregationChange)
		if e.Name != event.AggregationStateChanged {
			w.t.Errorf("event %s", e.Name)
		}
		lines = append(lines, fmt.Sprintf("%gs %s %s", e.At.Sub(w.from).Seconds(), d.State, d.Nodes))
	}
	return lines
}

func (w *watcher) expect(shown string, changes ...string) {
	w.t.Helper()
	if got := w.changes(); !slices.Equal(got, changes) {
		w.t.Errorf("changes %q, want %q", got, changes)
	}
	got := [][]core.NodeID{}
	for _, s := range w.States() {
		got = append(got, s.Nodes)
	}
	if text := fmt.Sprint(got); text != shown {
		w.t.Errorf("shows %s, want %s", text, shown)
	}
}

// say delivers a vote about aggregation n and waits for what it does.
func (w *watcher) say(n int, voter core.NodeID, outcome string, members ...core.NodeID) {
	w.shout(n, voter, outcome, members...)
	synctest.Wait()
}

// shout delivers a vote about aggregation n.
func (w *watcher) shout(n int, voter core.NodeID, outcome string, members ...core.NodeID) {
	v := rolestest.Vote(voter, outcome, members...)
	v.ID = fmt.Sprintf("us-east-01890a5d-ac96-774b-bcce-%012d", n)
	w.hub.Say(voter, v)
}

// The region shows what its nodes form, with the mean of what they have free, for
// as long as they say so.
//
// spec 0.19 0.22 4.2
func TestAggregationsAreShown(t *testing.T) {
	watched(t, func(t *testing.T, w *watcher) {
		a, _ := w.node("a")
		_, stopB := w.node("b")
		w.expect("[]")
		id, err := a.Propose(t.Context(), core.TierTrainer, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.expect("[[a b]]", "0s formed [a b]")
		want := core.AggregationState{ID: id, Nodes: []core.NodeID{"a", "b"}, Capacity: core.Capacity{CPU: 0.75, Memory: 0.375, Storage: 0.5}}
		if got := w.States()[0]; got.ID != want.ID || got.Capacity != want.Capacity {
			t.Errorf("shows %+v, want %+v", got, want)
		}
		time.Sleep(time.Hour)
		w.expect("[[a b]]")
		stopB()
		w.expect("[]", "3600s dissolved [a b]")
	})
}

// Who begins to watch late knows everything after one period.
func TestAggregationsAreLearnt(t *testing.T) {
	watched(t, func(t *testing.T, w *watcher) {
		w.hub.Cut("regional", true)
		a, _ := w.node("a")
		w.node("b")
		if _, err := a.Propose(t.Context(), core.TierTrainer, 0); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.hub.Cut("regional", false)
		time.Sleep(roles.AggregationPeriod - 1)
		w.expect("[]")
		time.Sleep(1)
		w.expect("[[a b]]", "30s formed [a b]")
	})
}

func TestAggregationsExpire(t *testing.T) {
	for name, c := range map[string]struct {
		cut  core.NodeID
		back time.Duration // 0 = never
		want []string
	}{
		"the proposer dies":                 {"a", 0, []string{"125s dissolved [a b]"}},
		"a member dies":                     {"b", 0, []string{"125s dissolved [a b]"}},
		"the proposer misses two":           {"a", 70 * time.Second, []string{}},
		"the region hears nothing":          {"regional", 0, []string{"125s dissolved [a b]"}},
		"the region misses two":             {"regional", 70 * time.Second, []string{}},
		"the region hears nothing for long": {"regional", 200 * time.Second, []string{"125s dissolved [a b]", "240s formed [a b]"}},
	} {
		t.Run(name, func(t *testing.T) {
			watched(t, func(t *testing.T, w *watcher) {
				a, _ := w.node("a")
				w.node("b")
				if _, err := a.Propose(t.Context(), core.TierTrainer, 0); err != nil {
					t.Fatal(err)
				}
				w.expect("[[a b]]", "0s formed [a b]")
				time.Sleep(40*time.Second - time.Millisecond) // last heard at 30 s
				w.hub.Cut(c.cut, true)
				if c.back > 0 {
					time.Sleep(c.back)
					w.hub.Cut(c.cut, false)
				}
				time.Sleep(10 * time.Minute)
				if got := w.changes(); !slices.Equal(got, c.want) {
					t.Errorf("changes %q, want %q", got, c.want)
				}
			})
		})
	}
}

// Only what all its members say themselves is shown.
func TestAggregationsHostileVotes(t *testing.T) {
	formed := func(w *watcher) {
		w.say(1, "b", roles.VoteJoin, "a")
		w.say(1, "a", roles.VoteFormed, "a", "b")
		w.expect("[[a b]]", "0s formed [a b]")
	}
	for _, c := range []struct {
		name  string
		act   func(w *watcher)
		shown string
		tells []string
	}{
		{"a promise after the claim", func(w *watcher) { w.say(1, "a", roles.VoteFormed, "a", "b"); w.say(1, "b", roles.VoteJoin, "a") },
			"[[a b]]", []string{"0s formed [a b]"}},
		{"nobody promised", func(w *watcher) { w.say(1, "a", roles.VoteFormed, "a", "b") }, "[]", nil},
		{"one did not promise", func(w *watcher) { w.say(1, "b", roles.VoteJoin, "a"); w.say(1, "a", roles.VoteFormed, "a", "b", "c") }, "[]", nil},
		{"promised to another", func(w *watcher) { w.say(1, "b", roles.VoteJoin, "a"); w.say(1, "m", roles.VoteFormed, "m", "b") }, "[]", nil},
		{"promised to be in another", func(w *watcher) { w.say(2, "b", roles.VoteJoin, "a"); w.say(1, "a", roles.VoteFormed, "a", "b") }, "[]", nil},
		{"a promise in another's name", func(w *watcher) {
			w.say(1, "a", roles.VoteFormed, "a", "b")
			v := rolestest.Vote("b", roles.VoteJoin, "a")
			v.ID = "us-east-01890a5d-ac96-774b-bcce-000000000001"
			w.hub.Say("a", v)
		}, "[]", nil},
		{"another region's", func(w *watcher) {
			for _, v := range []*wire.AggregationVote{rolestest.Vote("b", roles.VoteJoin, "a"), rolestest.Vote("a", roles.VoteFormed, "a", "b")} {
				v.ID = "eu-west-01890a5d-ac96-774b-bcce-000000000001"
				w.hub.Say(v.Voter, v)
			}
		}, "[]", nil},
		{"an old promise", func(w *watcher) {
			w.say(1, "b", roles.VoteJoin, "a")
			time.Sleep(roles.AggregationSilence)
			w.say(1, "a", roles.VoteFormed, "a", "b")
		}, "[]", nil},
		{"dissolved by a stranger", func(w *watcher) { formed(w); w.say(1, "m", roles.VoteDissolved) }, "[[a b]]", nil},
		{"another one dissolved", func(w *watcher) { formed(w); w.say(2, "b", roles.VoteDissolved); w.say(2, "a", roles.VoteDissolved) }, "[[a b]]", nil},
		{"dissolved in another's name", func(w *watcher) {
			formed(w)
			v := rolestest.Vote("b", roles.VoteDissolved)
			v.ID = "us-east-01890a5d-ac96-774b-bcce-000000000001"
			w.hub.Say("m", v)
		}, "[[a b]]", nil},
		{"dissolved by the proposer", func(w *watcher) { formed(w); w.say(1, "a", roles.VoteDissolved) }, "[]", []string{"0s dissolved [a b]"}},
		{"dissolved by a member", func(w *watcher) { formed(w); w.say(1, "b", roles.VoteDissolved) }, "[]", []string{"0s dissolved [a b]"}},
		{"a member goes to another", func(w *watcher) {
			formed(w)
			w.say(2, "b", roles.VoteJoin, "c")
			w.say(2, "c", roles.VoteFormed, "c", "b")
		}, "[[c b]]", []string{"0s dissolved [a b]", "0s formed [c b]"}},
		{"a proposer becomes a member", func(w *watcher) {
			formed(w)
			w.say(2, "a", roles.VoteJoin, "c")
			w.say(2, "c", roles.VoteFormed, "c", "a")
		}, "[[c a]]", []string{"0s dissolved [a b]", "0s formed [c a]"}},
		{"a member proposes", func(w *watcher) {
			formed(w)
			w.say(2, "a", roles.VoteJoin, "b")
			w.say(2, "b", roles.VoteFormed, "b", "a")
		}, "[[b a]]", []string{"0s dissolved [a b]", "0s formed [b a]"}},
		{"the members change", func(w *watcher) {
			formed(w)
			w.say(1, "c", roles.VoteJoin, "a")
			w.say(1, "a", roles.VoteFormed, "a", "b", "c")
		}, "[[a b c]]", []string{"0s dissolved [a b]", "0s formed [a b c]"}},
		{"two of one id", func(w *watcher) {
			formed(w)
			w.say(1, "y", roles.VoteJoin, "x")
			w.say(1, "x", roles.VoteFormed, "x", "y")
		}, "[[a b] [x y]]", []string{"0s formed [x y]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			watched(t, func(t *testing.T, w *watcher) {
				c.act(w)
				w.expect(c.shown, c.tells...)
			})
		})
	}
}

// However many aggregations are claimed, a bounded number is watched: those heard
// of last. What is shown is sorted.
func TestAggregationsAreBounded(t *testing.T) {
	const flood, kept = 3000, 1024
	watched(t, func(t *testing.T, w *watcher) {
		formed, dissolved := 0, 0
		for i := range flood {
			proposer, member := core.NodeID(fmt.Sprint("p", i)), core.NodeID(fmt.Sprint("m", i))
			w.shout(flood-i, member, roles.VoteJoin, proposer)
			w.shout(flood-i, proposer, roles.VoteFormed, proposer, member)
			if i%100 != 99 {
				continue
			}
			for _, line := range w.changes() {
				if strings.HasPrefix(line, "0s formed ") {
					formed++
				} else {
					dissolved++
				}
			}
		}
		if formed != flood || dissolved != flood-kept {
			t.Errorf("told %d formed and %d dissolved", formed, dissolved)
		}
		states := w.States()
		if len(states) != kept || states[0].Nodes[0] != "p2999" || states[kept-1].Nodes[0] != "p1976" {
			t.Errorf("%d shown, from %v to %v", len(states), states[0].Nodes, states[len(states)-1].Nodes)
		}
		if states[0].Capacity != (core.Capacity{}) {
			t.Errorf("unknown members have %+v free", states[0].Capacity)
		}
	})
}

// What States returns is the caller's.
func TestAggregationsStatesAreCopies(t *testing.T) {
	watched(t, func(t *testing.T, w *watcher) {
		w.say(1, "b", roles.VoteJoin, "a")
		w.say(1, "a", roles.VoteFormed, "a", "b")
		w.States()[0].Nodes[0] = "mallory"
		w.expect("[[a b]]", "0s formed [a b]")
	})
}
