package gossip

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

// The hostile neighbour is node 2; node 0 hears it and node 1 hears node 0.
const hostile = 2

// attack is what a hostile neighbour publishes, past every check of ours.
type attack struct {
	name  string
	topic string // kind; "health" when empty
	send  func(t *testing.T) [][]byte
	cause string
	count float64 // messages refused for that cause
	score float64 // the neighbour's score ends below this
}

func attacks() []attack {
	one := func(f func(*testing.T) []byte) func(*testing.T) [][]byte {
		return func(t *testing.T) [][]byte { return [][]byte{f(t)} }
	}
	fine := func(t *testing.T) []byte { return seal(t, hostile, time.Now(), health(hostile)) }
	return []attack{
		{name: "garbage", send: one(func(*testing.T) []byte { return []byte("{") }), cause: "malformed", count: 1, score: -5},
		{name: "signed by nobody", cause: "forged", count: 1, score: -5, send: one(func(t *testing.T) []byte {
			return []byte(strings.Replace(string(fine(t)), `"version":"1"`, `"version":"2"`, 1))
		})},
		{name: "somebody else's envelope", cause: "forged", count: 1, score: -5, send: one(func(t *testing.T) []byte {
			return seal(t, 5, time.Now(), health(5))
		})},
		{name: "in somebody else's name", cause: "forged", count: 1, score: -5, send: one(func(t *testing.T) []byte {
			return seal(t, hostile, time.Now(), health(5))
		})},
		{name: "another network", cause: "forged", count: 1, score: -5, send: one(func(t *testing.T) []byte {
			raw, err := wire.Seal(identity(hostile), "other", time.Now(), health(hostile))
			if err != nil {
				t.Fatal(err)
			}
			return raw
		})},
		{name: "too big for its type", cause: "malformed", count: 1, score: -5, send: one(func(t *testing.T) []byte {
			return envelope(t, wire.TypeHealth, `{"nodeId":"`+strings.Repeat("x", wire.Limit(wire.TypeHealth))+`"}`)
		})},
		{name: "out of bounds", cause: "malformed", count: 1, score: -5, send: one(func(t *testing.T) []byte {
			m := health(hostile)
			m.Peers = -1
			b, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			return envelope(t, wire.TypeHealth, string(b))
		})},
		{name: "wrong topic", topic: "jobs", cause: "topic", count: 1, score: -5, send: one(fine)},
		{name: "unknown type", cause: "unknown", count: 1, score: 0, send: one(func(t *testing.T) []byte {
			return envelope(t, "tea_break", `{}`)
		})},
		{name: "stale", cause: "stale", count: 1, score: 0, send: one(func(t *testing.T) []byte {
			return seal(t, hostile, time.Now().Add(-wire.MaxAge-time.Second), health(hostile))
		})},
		{name: "from the future", cause: "stale", count: 1, score: 0, send: one(func(t *testing.T) []byte {
			return seal(t, hostile, time.Now().Add(wire.MaxAhead+10*time.Second), health(hostile))
		})},
		{name: "not his role", topic: "results", cause: "role", count: 1, score: 0, send: one(func(t *testing.T) []byte {
			return seal(t, hostile, time.Now(), &wire.ResultDigests{Results: []wire.ResultDigest{{TaskID: "t", Status: core.TaskFailed}}})
		})},
		{name: "replay", cause: "replay", count: 1, score: 0, send: func(t *testing.T) [][]byte {
			raw := fine(t)
			return [][]byte{raw, raw}
		}},
		{name: "flood", cause: "rate", count: 30, score: -10, send: func(t *testing.T) [][]byte {
			var out [][]byte
			for range DefaultBurst + 30 {
				out = append(out, fine(t))
			}
			return out
		}},
	}
}

// What is forged, stale, oversized, unknown or misplaced is dropped and counted,
// costs the neighbour who sent it, and goes no further.
//
// spec 2.53 0.23
func TestHostileNeighbour(t *testing.T) {
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			simulateHosts(t, 3, func(t *testing.T, hosts []host.Host) {
				victim, behind := newNode(t, 0, hosts[0], refuseDigests), newNode(t, 1, hosts[1], nil)
				victim.start(t)
				behind.start(t)
				connectAll(t, hosts[:2])
				connectAll(t, []host.Host{hosts[0], hosts[hostile]})
				ctx, stop := context.WithCancel(t.Context())
				listen[*wire.Health](t, Health, victim, behind)
				listen[*wire.JobAnnouncement](t, Jobs, victim, behind)
				listen[*wire.ResultDigests](t, Results, victim, behind)
				if a.topic == "" {
					a.topic = "health"
				}
				rawPublisher(t, ctx, hosts[hostile])(TopicName(testNet, Kind(a.topic), Global), a.send(t))
				pass(2 * scoreInterval)
				passed := float64(len(a.send(t))) - a.count
				if got := victim.counter(t, "rejected_total", a.cause); got != a.count {
					t.Errorf("%v refused as %s, want %v", got, a.cause, a.count)
				}
				if got := behind.counter(t, "delivered_total", a.topic); got != passed {
					t.Errorf("%v of %v acceptable messages went on", got, passed)
				}
				if got := victim.Score(identity(hostile).ID()); got >= a.score {
					t.Errorf("score %v, want below %v", got, a.score)
				}
				stop()
				victim.stop()
				behind.stop()
			})
		})
	}
}

func refuseDigests(cfg *Config) {
	cfg.Allow = func(_ core.NodeID, t wire.Type) bool { return t != wire.TypeDigests }
}

func listen[T wire.Body](t *testing.T, kind Kind, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		_, cancel := join[T](t, n, kind, Global).Subscribe(1000)
		t.Cleanup(cancel)
	}
}

// rawPublisher publishes any bytes under the protocol of our network, with a
// pubsub that checks nothing.
func rawPublisher(t *testing.T, ctx context.Context, h host.Host) func(topic string, data [][]byte) {
	t.Helper()
	protocols := (&Router{cfg: Config{Network: testNet}}).options()[0]
	ps, err := pubsub.NewGossipSub(ctx, h, protocols, pubsub.WithMaxMessageSize(1<<20), pubsub.WithPeerOutboundQueueSize(1000))
	if err != nil {
		t.Fatal(err)
	}
	topics := map[string]*pubsub.Topic{}
	return func(name string, data [][]byte) {
		topic := topics[name]
		if topic == nil {
			if topic, err = ps.Join(name); err != nil {
				t.Fatal(err)
			}
			topics[name] = topic
		}
		pass(3 * time.Second) // until the victim's subscriptions are known
		for _, d := range data {
			if err := topic.Publish(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Five invalid messages are the end: nothing more is read from that neighbour.
// spec 2.52
func TestFiveInvalidMessagesAreTheEnd(t *testing.T) {
	for bad, heard := range []float64{1, 1, 1, 1, 1, 0} {
		simulateHosts(t, 3, func(t *testing.T, hosts []host.Host) {
			victim := newNode(t, 0, hosts[0], nil)
			victim.start(t)
			connectAll(t, []host.Host{hosts[0], hosts[hostile]})
			ctx, stop := context.WithCancel(t.Context())
			listen[*wire.Health](t, Health, victim)
			publish := rawPublisher(t, ctx, hosts[hostile])
			for i := range bad {
				publish(TopicName(testNet, Health, Global), [][]byte{fmt.Append(nil, i)})
			}
			publish(TopicName(testNet, Health, Global), [][]byte{seal(t, hostile, time.Now(), health(hostile))})
			pass(2 * scoreInterval)
			score := victim.Score(identity(hostile).ID())
			if got := victim.counter(t, "delivered_total", "health"); got != heard || (score < graylistThreshold) != (heard == 0) || (score < gossipThreshold) != (bad > 2) {
				t.Errorf("after %d invalid messages: %v heard, score %v", bad, got, score)
			}
			stop()
			victim.stop()
		})
	}
}

// A neighbour's reputation is part of his score; below 20 he gets no gossip.
// spec 2.52
func TestReputationIsInTheScore(t *testing.T) {
	r := &Router{authors: newAuthors(1, 1)}
	for rep, want := range map[int]float64{100: 10, 50: 0, 30: -20, 20: -30, 19: -60, 0: -60} {
		r.cfg.Reputation = func(core.NodeID) int { return rep }
		if got := r.appScore("p"); got != want {
			t.Errorf("reputation %d gives %v, want %v", rep, got, want)
		}
	}
}

// Strikes fade and never cut a neighbour off.
func TestStrikes(t *testing.T) {
	a, now := newAuthors(1, 1), time.Now()
	a.strike("p", now) // never allowed anything: unknown, and stays so
	a.allow("p", now)
	for range 1000 {
		a.strike("p", now)
	}
	if got := a.strikes("p", now); got != maxStrikes || -got < gossipThreshold {
		t.Errorf("%v strikes", got)
	}
	if got := a.strikes("p", now.Add(2*time.Minute)); got != maxStrikes/4 {
		t.Errorf("%v strikes after two minutes", got)
	}
	if got := a.strikes("q", now); got != 0 {
		t.Errorf("a stranger has %v strikes", got)
	}
}

// Others' subscriptions are kept only to topics of ours, and only so many.
func TestFilter(t *testing.T) {
	f := newFilter(testNet)
	sub := func(name string, on bool) *pb.RPC_SubOpts {
		return &pb.RPC_SubOpts{Topicid: &name, Subscribe: &on}
	}
	for name, want := range map[string]bool{
		"/tenzro/testnet/1/jobs/us-east":       true,
		"/tenzro/testnet/1/health/global":      true,
		"/tenzro/other/1/jobs/us-east":         false,
		"/tenzro/testnet/1/gossip/us-east":     false,
		"/tenzro/testnet/1/jobs/US":            false,
		"/tenzro/testnet/1/jobs/us-east/":      false,
		"/tenzro/testnet/1/jobs":               false,
		"/tenzro/testnet/2/jobs/us-east":       false,
		"/tenzro/testnet/1/jobs/" + long(28):   false,
		"/tenzro/testnet/1/jobs/" + long(27):   true,
		"x/tenzro/testnet/1/jobs/us-east":      false,
		"/tenzro/testnet/1//jobs/us-east":      false,
		"/tenzro/testnet/1/capabilities/a/b":   false,
		"/tenzro/testnet/1/reputation/eu-west": true,
	} {
		if f.CanSubscribe(name) != want {
			t.Errorf("CanSubscribe(%s) = %v", name, !want)
		}
	}
	topic := func(i int) string { return TopicName(testNet, Jobs, core.RegionID(fmt.Sprint("r", i))) }
	for i := range maxTopicsPerPeer {
		if got, err := f.FilterIncomingSubscriptions("p", []*pb.RPC_SubOpts{sub(topic(i), true), sub("/elsewhere", true)}); err != nil || len(got) != 1 {
			t.Fatalf("subscription %d: %v, %v", i, got, err)
		}
	}
	more := []*pb.RPC_SubOpts{sub(topic(1000), true)}
	if _, err := f.FilterIncomingSubscriptions("p", more); err == nil {
		t.Error("one neighbour subscribes to any number of topics")
	}
	if _, err := f.FilterIncomingSubscriptions("p", []*pb.RPC_SubOpts{sub(topic(0), false)}); err != nil {
		t.Error(err)
	}
	if _, err := f.FilterIncomingSubscriptions("p", more); err != nil {
		t.Errorf("after leaving one: %v", err)
	}
	if _, err := f.FilterIncomingSubscriptions("q", make([]*pb.RPC_SubOpts, maxTopicsPerPeer+1)); err == nil {
		t.Error("any number of subscriptions in one frame")
	}
}

func long(n int) string { return strings.Repeat("r", n) }

func seal(t testing.TB, author int, at time.Time, b wire.Body) []byte {
	t.Helper()
	raw, err := wire.Seal(identity(author), testNet, at, b)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// envelope seals what wire.Seal refuses to, as docs/spec/wire.md describes it.
func envelope(t *testing.T, kind wire.Type, body string) []byte {
	t.Helper()
	id, now, self := strings.Repeat("ab", 16), time.Now().UTC(), identity(hostile)
	nonce := fmt.Sprintf("%016x", now.UnixNano()) + strings.Repeat("cd", 8)
	ts := now.Format(time.RFC3339Nano)
	sig := self.Sign(keys.DomainEnvelope, []byte(testNet), []byte(kind), []byte(id), []byte(self.ID()), []byte(ts), []byte(nonce), []byte(body))
	return fmt.Appendf(nil, `{"v":1,"type":"%s","id":"%s","net":"%s","from":"%s","ts":"%s","nonce":"%s","body":%s,"sig":{"alg":"ed25519","value":"%s"}}`,
		kind, id, testNet, self.ID(), ts, nonce, body, base64.StdEncoding.EncodeToString(sig))
}

// envelope must be what wire.Open takes, or the attacks prove nothing.
func TestEnvelopeOfTheTest(t *testing.T) {
	body, err := json.Marshal(health(hostile))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := wire.Open(envelope(t, wire.TypeHealth, string(body)), testNet, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// The bar for a validator is 100 us.
func BenchmarkValidate(b *testing.B) {
	h := peer.ID("")
	r := &Router{cfg: Config{Network: testNet}, metrics: newMetrics(nil), authors: newAuthors(1e12, 1<<40), replay: wire.NewReplay(replaySize, wire.ReplayWindow)}
	author, err := peer.Decode(string(identity(hostile).ID()))
	if err != nil {
		b.Fatal(err)
	}
	topic, raw := TopicName(testNet, Capabilities, Global), seal(b, hostile, time.Now(), summary(hostile, 1))
	for b.Loop() {
		msg := &pubsub.Message{Message: &pb.Message{From: []byte(author), Topic: &topic, Data: raw}}
		r.replay = wire.NewReplay(1, 0) // every message is new
		if v := r.validate(context.Background(), h, msg); v != pubsub.ValidationAccept {
			b.Fatal(v)
		}
	}
}
