package gossip

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

func lonely(t testing.TB) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableMetrics(), hostKey(t, identity(0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func TestNewRefuses(t *testing.T) {
	h := lonely(t)
	good := Config{Host: h, Signer: identity(0), Network: testNet}
	cases := map[string]func(*Config){
		"no host":               func(c *Config) { c.Host = nil },
		"no signer":             func(c *Config) { c.Signer = nil },
		"another node's signer": func(c *Config) { c.Signer = identity(1) },
		"bad network":           func(c *Config) { c.Network = "a/b" },
		"negative rate":         func(c *Config) { c.Rate = -1 },
	}
	for name, change := range cases {
		cfg := good
		change(&cfg)
		if _, err := New(cfg, nil, zerolog.Nop()); core.KindOf(err) != core.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(good, nil, zerolog.Nop()); err != nil {
		t.Error(err)
	}
}

func TestJoinRefuses(t *testing.T) {
	r, err := New(Config{Host: lonely(t), Signer: identity(0), Network: testNet}, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	_, wrongType := Join[*wire.Health](r, Jobs, Global)
	_, streamType := Join[*wire.Pull](r, Jobs, Global)
	_, noType := Join[wire.Body](r, Jobs, Global)
	_, badRegion := Join[*wire.Health](r, Health, "US")
	_, reserved := Join[*wire.Health](r, Health, "global")
	_, unknown := Join[*wire.Health](r, "tea", Global)
	for i, err := range []error{wrongType, streamType, noType, badRegion, reserved, unknown} {
		if core.KindOf(err) != core.Invalid {
			t.Errorf("case %d: %v", i, err)
		}
	}
	for i := range maxTopics {
		if _, err := Join[*wire.Health](r, Health, core.RegionID(fmt.Sprint("r", i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Join[*wire.Health](r, Health, "r0"); err != nil {
		t.Errorf("a topic joined twice: %v", err)
	}
	if _, err := Join[*wire.Health](r, Health, "one-more"); core.KindOf(err) != core.Exhausted {
		t.Errorf("any number of topics: %v", err)
	}
}

// What a node may not say it learns at once, not from others' silence.
func TestPublishRefuses(t *testing.T) {
	simulate(t, 1, func(t *testing.T, nodes []*node) {
		n := nodes[0]
		pass(time.Second)
		topic := join[*wire.Health](t, n, Health, Global)
		if err := topic.Publish(t.Context(), health(1)); core.KindOf(err) != core.Invalid {
			t.Errorf("in another's name: %v", err)
		}
		bad := health(0)
		bad.Peers = -1
		if err := topic.Publish(t.Context(), bad); core.KindOf(err) != core.Invalid {
			t.Errorf("out of bounds: %v", err)
		}
		var err error
		for range DefaultBurst + 1 {
			err = topic.Publish(t.Context(), health(0))
		}
		if core.KindOf(err) != core.Exhausted {
			t.Errorf("beyond the rate: %v", err)
		}
		if got := n.counter(t, "published_total", "health"); got != DefaultBurst-1 {
			t.Errorf("%v published", got)
		}
	})
}

// The documented kinds of messages each have their topic.
//
// spec 2.23
func TestKinds(t *testing.T) {
	want := map[wire.Type]Kind{wire.TypeAnnouncement: Jobs, wire.TypeCapabilities: Capabilities, wire.TypeDigests: Results, wire.TypeReputation: Reputation}
	for typ, kind := range want {
		for _, k := range Kinds() {
			if slices.Contains(k.Types(), typ) != (k == kind) {
				t.Errorf("%s on %s", typ, k)
			}
		}
	}
	if got := TopicName(testNet, Jobs, "us-east") + " " + TopicName(testNet, Health, Global); got != "/tenzro/testnet/1/jobs/us-east /tenzro/testnet/1/health/global" {
		t.Error(got)
	}
}

// What is announced about a job or a region stays small, whatever the job.
// spec 2.48
func TestAnnouncementsAreSmall(t *testing.T) {
	regional := summary(0, 1<<60)
	regional.Region = core.RegionID(strings.Repeat("r", core.MaxRegionLen))
	for _, c := range []struct {
		body wire.Body
		most int
	}{
		{&wire.JobAnnouncement{TaskID: core.TaskID(strings.Repeat("t", 64)), Task: core.TaskType(strings.Repeat("x", 32)), Region: regional.Region,
			Requirements: core.Requirements{MinTier: core.TierAggregator, CPU: 100, MemoryMB: core.MaxMemoryMB}, Waiting: 1 << 20, Expires: time.Now().UTC()}, 850},
		{&wire.ResultDigests{Results: []wire.ResultDigest{{TaskID: core.TaskID(strings.Repeat("t", 64)), Status: core.TaskCancelled}}}, 700},
		{regional, 1024},
	} {
		if n := len(seal(t, 0, time.Now(), c.body)); n > c.most {
			t.Errorf("%s has %d bytes, want at most %d", c.body.Type(), n, c.most)
		}
	}
}

// The specification page names every kind, type and cause there is.
func TestSpecificationIsComplete(t *testing.T) {
	page, err := os.ReadFile("../docs/spec/gossip.md")
	if err != nil {
		t.Fatal(err)
	}
	words := []string{string(protocolName("<network>")), string(causeSize), string(causeMalformed), string(causeForged), string(causeTopic),
		string(causeRate), string(causeStale), string(causeUnknown), string(causeReplay), string(causeRole)}
	for _, k := range Kinds() {
		words = append(words, string(k))
		for _, typ := range k.Types() {
			words = append(words, string(typ))
		}
	}
	for _, w := range words {
		if !strings.Contains(string(page), "`"+w+"`") {
			t.Errorf("docs/spec/gossip.md does not name %s", w)
		}
	}
}
