package gossip

import (
	"context"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// What an author's messages tell of his clock: the youngest counts, for a while.
func TestAuthorClock(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	type message struct{ at, age time.Duration } // when it came, and how old it seemed
	tests := map[string]struct {
		messages []message
		asked    time.Duration
		want     []time.Duration
	}{
		"nothing":                 {nil, 0, nil},
		"his clock is ahead":      {[]message{{0, -90 * time.Second}}, time.Second, []time.Duration{-90 * time.Second}},
		"delay does not count":    {[]message{{0, time.Second}, {1, time.Minute}}, time.Second, []time.Duration{time.Second}},
		"nor an old one repeated": {[]message{{0, time.Hour}, {1, 0}}, time.Second, []time.Duration{0}},
		"forgotten":               {[]message{{0, time.Hour}}, clockMemory, nil},
		"a later one then":        {[]message{{0, -time.Hour}, {clockMemory, time.Second}}, clockMemory, []time.Duration{time.Second}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := newAuthors(DefaultRate, DefaultBurst)
			a.hear("stranger", start, start)
			a.allow("p", start)
			for _, m := range tt.messages {
				a.hear("p", start.Add(m.at-m.age), start.Add(m.at))
			}
			got := a.skews([]peer.ID{"p", "stranger"}, start.Add(tt.asked))
			if len(got) != len(tt.want) || len(got) == 1 && got[0] != tt.want[0] {
				t.Errorf("skews %v, want %v", got, tt.want)
			}
		})
	}
}

// Fewer than half cannot make a right clock look wrong.
func TestMedianIsConservative(t *testing.T) {
	for _, tt := range []struct {
		skews []time.Duration
		want  time.Duration
	}{{nil, 0}, {[]time.Duration{7}, 7}, {[]time.Duration{90, 1}, 1}, {[]time.Duration{-90, -1}, -1}, {[]time.Duration{-90, 90, 2}, 2},
		{[]time.Duration{90, 80, 0, 1}, 1}, {[]time.Duration{-90, 80, -80}, -80}} {
		if got := median(tt.skews); got != tt.want {
			t.Errorf("median of %d is %d, want %d", tt.skews, got, tt.want)
		}
	}
}

// A neighbour's clock is heard also when it is so far off that his messages are
// refused; what he repeats of others tells nothing of his.
func TestClockSkew(t *testing.T) {
	for name, tt := range map[string]struct {
		author int
		ahead  time.Duration
		heard  int
	}{"right": {hostile, 0, 1}, "ahead": {hostile, time.Hour, 1}, "behind": {hostile, -time.Hour, 1}, "of somebody else": {5, -time.Hour, 0}} {
		t.Run(name, func(t *testing.T) {
			simulateHosts(t, 3, func(t *testing.T, hosts []host.Host) {
				victim := newNode(t, 0, hosts[0], nil)
				victim.start(t)
				connectAll(t, []host.Host{hosts[0], hosts[hostile]})
				ctx, stop := context.WithCancel(t.Context())
				listen[*wire.Health](t, Health, victim)
				raw := seal(t, tt.author, time.Now().Add(tt.ahead), health(tt.author))
				rawPublisher(t, ctx, hosts[hostile])(TopicName(testNet, Health, Global), [][]byte{raw})
				pass(2 * time.Second)
				skew, heard := victim.ClockSkew([]core.NodeID{identity(hostile).ID(), victim.name(), "nobody"})
				if heard != tt.heard || heard > 0 && (skew+tt.ahead).Abs() > 5*time.Second { // the publisher waits before it sends
					t.Errorf("skew %s of %d, his clock is %s ahead", skew, heard, tt.ahead)
				}
				stop()
				victim.stop()
			})
		})
	}
}
