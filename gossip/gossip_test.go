package gossip

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Each kind of announcement reaches every subscriber of six nodes once, signed by
// its author.
//
// spec 2.17 2.18 2.19 2.20 2.21 2.23 0.23
func TestEveryKindIsDelivered(t *testing.T) {
	simulate(t, 6, func(t *testing.T, nodes []*node) {
		author := nodes[0]
		spread(t, nodes, Jobs, "us-east", &wire.JobAnnouncement{TaskID: "t1", Task: "compute", Region: "us-east", Waiting: 3, Expires: time.Now().UTC()})
		spread(t, nodes, Capabilities, Global, summary(0, 1))
		ad := wire.Ad{Issued: time.Now().UTC(), Expires: time.Now().UTC().Add(time.Minute), Network: testNet, Roles: []string{}, Runtimes: []core.TaskType{}}
		if err := wire.SignAd(author.id, &ad); err != nil {
			t.Fatal(err)
		}
		spread(t, nodes, Capabilities, Global, &wire.WorkerCapabilities{Ad: ad})
		spread(t, nodes, Results, "us-east", &wire.ResultDigests{Results: []wire.ResultDigest{{TaskID: "t1", Status: core.TaskCompleted, OutputHash: core.Sum([]byte("55"))}}})
		spread(t, nodes, Reputation, Global, &wire.ReputationUpdate{NodeID: identity(5).ID(), Delta: -10, Score: 40, Cause: "invalid_proof", Evidence: core.Sum([]byte("proof"))})
		spread(t, nodes, Health, Global, health(0))
		if got := author.counter(t, "published_total", "capabilities"); got != 2 {
			t.Errorf("published %v", got)
		}
	})
}

// spread publishes m as node 0 and wants everybody to get exactly it.
func spread[T wire.Body](t *testing.T, nodes []*node, kind Kind, region core.RegionID, m T) {
	t.Helper()
	var chans []<-chan Message[T]
	for _, n := range nodes {
		ch, cancel := join[T](t, n, kind, region).Subscribe(4)
		defer cancel()
		chans = append(chans, ch)
	}
	pass(3 * time.Second) // the mesh forms
	if err := join[T](t, nodes[0], kind, region).Publish(t.Context(), m); err != nil {
		t.Fatalf("publishing %s: %v", m.Type(), err)
	}
	pass(3 * time.Second)
	want := mustSeal(t, m)
	for i, ch := range chans {
		if len(ch) != 1 {
			t.Fatalf("node %d got %d messages of %s", i, len(ch), m.Type())
		}
		got := <-ch
		if got.From != nodes[0].name() || len(got.ID) != 32 || time.Since(got.At) > 4*time.Second || mustSeal(t, got.Body) != want {
			t.Fatalf("node %d got %+v", i, got)
		}
	}
}

func mustSeal(t *testing.T, m wire.Body) string {
	t.Helper()
	raw, err := wire.Seal(identity(0), testNet, time.Now(), m)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := wire.Open(raw, testNet, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Body)
}

// Types that share a topic reach only those who asked for them; other regions
// hear nothing; a cancelled subscription ends.
func TestTypesAndRegionsAreSeparate(t *testing.T) {
	simulate(t, 2, func(t *testing.T, nodes []*node) {
		summaries, endSummaries := join[*wire.RegionSummary](t, nodes[1], Capabilities, "us-east").Subscribe(4)
		votes, endVotes := join[*wire.AggregationVote](t, nodes[1], Capabilities, "us-east").Subscribe(4)
		elsewhere, endElsewhere := join[*wire.RegionSummary](t, nodes[1], Capabilities, "eu-west").Subscribe(4)
		pass(2 * time.Second)
		topic := join[*wire.RegionSummary](t, nodes[0], Capabilities, "us-east")
		if err := topic.Publish(t.Context(), summary(0, 1)); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if len(summaries) != 1 || len(votes) != 0 || len(elsewhere) != 0 {
			t.Fatalf("summaries %d, votes %d, elsewhere %d", len(summaries), len(votes), len(elsewhere))
		}
		endSummaries()
		endSummaries()
		<-summaries
		if _, open := <-summaries; open {
			t.Fatal("the channel of a cancelled subscription is open")
		}
		endVotes()
		endElsewhere()
		pass(time.Second)
		if err := topic.Publish(t.Context(), summary(0, 2)); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if got := nodes[1].counter(t, "delivered_total", "capabilities"); got != 1 {
			t.Fatalf("%v delivered after everybody left", got)
		}
	})
}

// A subscriber who does not read loses messages, counted, and holds up nobody.
func TestSlowSubscriberLosesOnlyHisOwn(t *testing.T) {
	simulate(t, 2, func(t *testing.T, nodes []*node) {
		slow, endSlow := join[*wire.Health](t, nodes[1], Health, Global).Subscribe(0)
		defer endSlow()
		quick, endQuick := join[*wire.Health](t, nodes[1], Health, Global).Subscribe(100)
		defer endQuick()
		pass(2 * time.Second)
		for range 20 {
			if err := join[*wire.Health](t, nodes[0], Health, Global).Publish(t.Context(), health(0)); err != nil {
				t.Fatal(err)
			}
		}
		pass(2 * time.Second)
		if lost := nodes[1].counter(t, "dropped_total", "subscriber"); len(slow) != 1 || len(quick) != 20 || lost != 19 {
			t.Fatalf("slow %d, quick %d, lost %v", len(slow), len(quick), lost)
		}
	})
}

// A Router that was restarted by its supervisor finds its subscriptions and its
// neighbours again.
func TestServeAgain(t *testing.T) {
	simulate(t, 2, func(t *testing.T, nodes []*node) {
		ch, cancel := join[*wire.Health](t, nodes[1], Health, Global).Subscribe(4)
		defer cancel()
		pass(2 * time.Second)
		nodes[1].stop()
		if err := join[*wire.Health](t, nodes[1], Health, Global).Publish(t.Context(), health(1)); core.KindOf(err) != core.Unavailable {
			t.Errorf("publishing while stopped: %v", err)
		}
		nodes[1].start(t)
		pass(10 * time.Second)
		if err := join[*wire.Health](t, nodes[0], Health, Global).Publish(t.Context(), health(0)); err != nil {
			t.Error(err)
		}
		pass(2 * time.Second)
		if len(ch) != 1 {
			t.Errorf("%d messages after the restart", len(ch))
		}
	})
}

// Three hosts on loopback with real sockets: the one in the middle passes on.
// spec 2.17
func TestLoopback(t *testing.T) {
	hosts := make([]host.Host, 3)
	for i := range hosts {
		h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.Transport(tcp.NewTCPTransport), hostKey(t, identity(i)), libp2p.DisableMetrics())
		if err != nil {
			t.Fatal(err)
		}
		hosts[i] = h
		defer h.Close()
	}
	nodes := make([]*node, len(hosts))
	for i, h := range hosts {
		nodes[i] = newNode(t, i, h, nil)
		nodes[i].start(t)
		defer nodes[i].stop()
	}
	connectAll(t, hosts[:2])
	connectAll(t, hosts[1:])
	middle, endMiddle := join[*wire.Health](t, nodes[1], Health, Global).Subscribe(64)
	defer endMiddle()
	far, endFar := join[*wire.Health](t, nodes[2], Health, Global).Subscribe(64)
	defer endFar()
	topic := join[*wire.Health](t, nodes[0], Health, Global)
	deadline, tick := time.After(8*time.Second), time.NewTicker(250*time.Millisecond)
	defer tick.Stop()
	for got := 0; got < 2; {
		select {
		case <-tick.C: // until the mesh is there
			if err := topic.Publish(t.Context(), health(0)); err != nil {
				t.Fatal(err)
			}
		case m := <-far:
			if m.From != nodes[0].name() {
				t.Fatalf("from %s", m.From)
			}
			far, got = nil, got+1
		case <-middle:
			middle, got = nil, got+1
		case <-deadline:
			t.Fatal("no message crossed two hops in 8 s")
		}
	}
}
