package dispatch

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// TestGreet: both sides introduce themselves; whoever does not, or is somewhere
// or somebody else, is refused with the reason. What came in one frame with the
// hello is not lost.
func TestGreet(t *testing.T) {
	hello := func(bend func(*wire.Hello)) *wire.Hello {
		h := &wire.Hello{Version: HelloVersion, Network: "testnet", Roles: []string{"local"}}
		bend(h)
		return h
	}
	for name, c := range map[string]struct {
		theirs []wire.Body
		want   core.Kind
		text   string // empty: welcome
	}{
		"welcome":          {[]wire.Body{hello(func(*wire.Hello) {})}, 0, ""},
		"with more behind": {[]wire.Body{hello(func(*wire.Hello) {}), renewal(1), renewal(2)}, 0, ""},
		"something else":   {[]wire.Body{renewal(1)}, core.Invalid, "before it said hello"},
		"another network":  {[]wire.Body{hello(func(h *wire.Hello) { h.Network = "mainnet" })}, core.Denied, `of network "mainnet"`},
		"another version":  {[]wire.Body{hello(func(h *wire.Hello) { h.Version = 9 })}, core.Unsupported, "speaks version 9"},
		"another's ad":     {[]wire.Body{hello(func(h *wire.Hello) { h.Ad = ad(t, 3) })}, core.Denied, "the ad of another node"},
		"its own ad":       {[]wire.Body{hello(func(h *wire.Hello) { h.Ad = ad(t, 1) })}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			overEachLink(t, func(t *testing.T, r *rig) {
				here, there := r.link(r.id.ID(), identity(1).ID())
				defer there.Close()
				defer here.Close()
				if err := there.Send(c.theirs...); err != nil {
					t.Fatal(err)
				}
				link, got, err := Greet(t.Context(), here, hello(func(*wire.Hello) {}))
				if c.text != "" {
					if core.KindOf(err) != c.want || !strings.Contains(err.Error(), c.text) {
						t.Errorf("got %v", err)
					}
					return
				}
				if err != nil || got.Network != "testnet" {
					t.Fatalf("got %+v, %v", got, err)
				}
				w := &raw{t: t, Link: link}
				for want := range len(c.theirs) - 1 {
					if m := next[*wire.LeaseRenew](w); int(m.Lease) != want+1 {
						t.Errorf("message %d came as number %d", m.Lease, want+1)
					}
				}
				if h := next[*wire.Hello](&raw{t: t, Link: there}); h.Network != "testnet" {
					t.Errorf("they heard %+v", h)
				}
				if err := there.Send(renewal(9)); err != nil {
					t.Fatal(err)
				}
				if m := next[*wire.LeaseRenew](w); m.Lease != 9 {
					t.Errorf("afterwards came %+v", m)
				}
			})
		})
	}
}

// TestGreetSilence: who says nothing is given up on after 5 s.
func TestGreetSilence(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		here, there := r.link(r.id.ID(), identity(1).ID())
		defer there.Close()
		defer here.Close()
		start := time.Now()
		if _, _, err := Greet(t.Context(), here, &wire.Hello{Version: HelloVersion, Network: "testnet"}); err == nil || time.Since(start) != greetTimeout {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

func ad(t *testing.T, n byte) *wire.Ad {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // a bubble's beginning
	a := &wire.Ad{Sequence: 1, Issued: now, Expires: now.Add(time.Minute), Network: "testnet", Roles: []string{"local"}, Can: core.CanCompute,
		Tier: core.TierInference, Arch: "amd64", Resources: core.Resources{Cores: 1, MemoryMB: 100}, MaxSlots: 1, Region: "us-east"}
	if err := wire.SignAd(identity(n), a); err != nil {
		t.Fatal(err)
	}
	return a
}

// TestTellsKeepers: children hear who keeps the region when it is told and when
// they are linked later; pullers pass on what is about their region, and nothing
// else.
func TestTellsKeepers(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		before := r.raw(1)
		silent[*wire.Coordinators](before, time.Second)
		first := &wire.Coordinators{Region: east, Members: []core.NodeID{r.id.ID()}}
		second := &wire.Coordinators{Region: east, Members: []core.NodeID{r.id.ID(), identity(101).ID()}}
		r.d.Tell(first)
		if got := next[*wire.Coordinators](before); !slices.Equal(got.Members, first.Members) {
			t.Errorf("told %v", got.Members)
		}
		r.d.Tell(second)
		after := r.raw(2)
		for _, w := range []*raw{before, after} {
			if got := next[*wire.Coordinators](w); !slices.Equal(got.Members, second.Members) || got.Region != east {
				t.Errorf("told %+v", got)
			}
		}
		r.d.Tell(nil)
		silent[*wire.Coordinators](r.raw(3), time.Second)

		m := r.member(4, 1)
		metrics := m.withMetrics()
		here, there := r.link(identity(102).ID(), m.id.ID())
		heard := make(chan *wire.Coordinators, 4)
		p := m.h.Puller(there)
		p.Keepers = func(m *wire.Coordinators) { heard <- m }
		r.wg.Go(func() { _ = p.Serve(r.ctx) })
		defer here.Close()
		if err := here.Send(&wire.Coordinators{Region: "eu-west", Members: first.Members}, second); err != nil {
			t.Fatal(err)
		}
		if got := <-heard; got.Region != east || len(got.Members) != 2 || len(heard) != 0 {
			t.Errorf("heard %+v", got)
		}
		if n := testutil.ToFloat64(metrics.drops.WithLabelValues("foreign")); n != 1 {
			t.Errorf("%v foreign messages counted", n)
		}
	})
}
