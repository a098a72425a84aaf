package dispatch

import (
	"strings"
	"testing"
	"time"

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
