package dispatch

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/p2p/p2ptest"
	"github.com/tenzro/tenzro/wire"
)

// TestOffences: what a dropped message costs its sender, by the cause under which
// it is counted.
func TestOffences(t *testing.T) {
	for cause, want := range map[string]p2p.Offence{
		"malformed": p2p.Malformed, "forged": p2p.Forged, "unexpected": p2p.Misplaced, "foreign": p2p.Misplaced,
		"stale": p2p.Unknown, "stale_claim": p2p.Unknown, "duplicate": p2p.Unknown, "version": p2p.Unknown, "invalid": p2p.Unknown, "unasked": p2p.Unknown,
	} {
		if got := offence(cause); got != want {
			t.Errorf("%s costs as much as %s; want %s", cause, got, want)
		}
	}
}

// TestUnknownBesideKnown: as many unknown messages in a frame as known ones are
// forgiven, as a newer version may send them; this side's own faults blame nobody.
func TestUnknownBesideKnown(t *testing.T) {
	m, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	m.Blame = func(peer core.NodeID, o p2p.Offence, n int) { got = append(got, fmt.Sprintf("%s %s %d", peer, o, n)) }
	m.received("a", 3, 3)
	m.received("a", 64, 0)
	m.unsent()
	m.received("b", 1, 5)
	m.received("c", 0, 1)
	m.dropped("d", "forged")
	if want := "b unknown 4, c unknown 1, d forged 1"; strings.Join(got, ", ") != want {
		t.Errorf("blamed: %q; want %q", got, want)
	}
}

// TestGreetingOffences: a greeting in the name of another, or something else in its
// place, is an offence; one of another network or version is none.
func TestGreetingOffences(t *testing.T) {
	mine := &wire.Hello{Version: HelloVersion, Network: "testnet"}
	for name, c := range map[string]struct {
		first wire.Body
		want  string
	}{
		"welcome":         {mine, ""},
		"another network": {&wire.Hello{Version: HelloVersion, Network: "mainnet"}, ""},
		"another version": {&wire.Hello{Version: 9, Network: "testnet"}, ""},
		"another's ad":    {&wire.Hello{Version: HelloVersion, Network: "testnet", Ad: ad(t, 9)}, "forged"},
		"no greeting":     {&wire.LeaseRenew{Lease: 7}, "misplaced"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, err := NewMetrics(nil)
				if err != nil {
					t.Fatal(err)
				}
				got := ""
				m.Blame = func(_ core.NodeID, o p2p.Offence, _ int) { got += o.String() }
				ta, tb := memTransports("a", "b", 64)
				a, b := NewLink(ta, m), NewLink(tb, nil)
				defer a.Close()
				defer b.Close()
				if err := b.Send(c.first); err != nil {
					t.Fatal(err)
				}
				_, _, _ = Greet(t.Context(), a, mine)
				if got != c.want {
					t.Errorf("blamed for %q; want %q", got, c.want)
				}
			})
		})
	}
}

// offenders is a dispatcher on a real host with one honest worker.
type offenders struct {
	t     *testing.T
	hosts []*p2p.Host // coordinator, honest worker, hostile peer
	d     *Dispatcher
	owner *recorder
}

const offenceProtocol = "/tenzro/test/offence/1.0.0"

func newOffenders(t *testing.T) *offenders {
	o := &offenders{t: t, hosts: p2ptest.Loopback(t, 3), owner: newRecorder()}
	m, err := NewMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Blame = o.hosts[0].Offended
	o.d = New(Config{Name: "test", Signer: p2ptest.Identity(0), Match: everybody{}, Blobs: NewBlobs(o.hosts[0], "test"), Metrics: m}, zerolog.Nop())
	for _, h := range o.hosts[1:] {
		if err := h.Connect(t.Context(), o.hosts[0].Addrs()[0]); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	wg.Go(func() { _ = o.d.Serve(ctx) })
	o.hosts[0].HandleSessions(offenceProtocol, func(s *p2p.Session) {
		_ = o.d.Attach(ctx, NewLink(s, m), jobs.ChildInfo{ID: s.Peer()}, nil)
	})
	w := newWorker(1)
	w.id = p2ptest.Identity(1)
	window := Window{Size: func(c wire.Class) int { return map[wire.Class]int{wire.ClassSubtask: 1}[c] }, Free: func() (int, int64) { return 50, 1000 }}
	link := NewLink(o.open(1), nil)
	wg.Go(func() { _ = NewPuller(link, w, window, NewBlobs(o.hosts[1], "test"), nil, zerolog.Nop()).Serve(ctx) })
	return o
}

// open opens a session of host i with the coordinator.
func (o *offenders) open(i int) *p2p.Session {
	o.t.Helper()
	s, err := o.hosts[i].OpenSession(o.t.Context(), o.hosts[0].ID(), offenceProtocol)
	if err != nil {
		o.t.Fatal(err)
	}
	return s
}

// send sends frame again and again, over a new session whenever the last one
// ended (as it does after one frame that ends it), until the coordinator has
// banned somebody.
func (o *offenders) send(frame []byte, ends bool) {
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Minute)
	defer cancel()
	for len(o.hosts[0].Banned()) == 0 && ctx.Err() == nil {
		if s, err := o.hosts[2].OpenSession(ctx, o.hosts[0].ID(), offenceProtocol); err == nil {
			o.flood(ctx, s, frame, ends)
			_ = s.Close()
		}
	}
}

// flood sends frame over one session until somebody is banned or the session does
// not go on, as that of a banned peer.
func (o *offenders) flood(ctx context.Context, s *p2p.Session, frame []byte, ends bool) {
	for len(o.hosts[0].Banned()) == 0 {
		try, cancel := context.WithTimeout(ctx, time.Second)
		err := s.Send(try, frame)
		if err == nil && ends {
			_, err = s.Recv(try) // the coordinator has nothing to say before it closes
		}
		cancel()
		if err != nil {
			return
		}
	}
}

// TestOffendersAreBannedBesideTheHonest: over real hosts a child that keeps sending
// what it must not is banned for minutes; the honest child beside it goes on.
func TestOffendersAreBannedBesideTheHonest(t *testing.T) {
	unknown := `{"type":"from_the_future","body":{}}`
	evil := p2ptest.Identity(2)
	for name, c := range map[string]struct {
		frame []byte
		ends  bool
	}{
		"messages of unknown types":  {[]byte(`{"v":1,"items":[` + strings.Repeat(unknown+",", 63) + unknown + `]}`), false},
		"ads in the name of another": {batchOf(t, ad(t, 9)), false},
		"frames that do not decode":  {[]byte("\x00\x01"), true},
		"messages of the other side": {batchOf(t, &wire.LeaseRevoke{Lease: 7, Reason: core.ReasonCancelled}), false},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffenders(t)
			o.submit(0)
			o.send(c.frame, c.ends)
			if b := o.hosts[0].Banned(); len(b) != 1 || b[0].ID != evil.ID() || time.Until(b[0].Until) > 5*time.Minute {
				t.Fatalf("banned: %+v", b)
			}
			if _, err := o.hosts[2].OpenSession(t.Context(), o.hosts[0].ID(), offenceProtocol); err == nil {
				t.Error("the banned peer opened another session")
			}
			o.submit(1)
			if !o.d.Attached(o.hosts[1].ID()) {
				t.Error("the honest child lost its link")
			}
		})
	}
}

// submit has the honest worker compute a unit.
func (o *offenders) submit(i int) {
	o.t.Helper()
	if err := o.d.Submit(unit(i), o.owner); err != nil {
		o.t.Fatal(err)
	}
	o.owner.wait(o.t, 1)
}

func batchOf(t *testing.T, bodies ...wire.Body) []byte {
	t.Helper()
	frame, n, err := wire.AppendBatch(nil, bodies...)
	if err != nil || n != len(bodies) {
		t.Fatal(err)
	}
	return frame
}

// TestNewerPeerIsNotBanned: over real hosts a peer whose frames have a value that only a
// newer version knows loses its link each time, as often as ten times what bans one whose
// frames do not decode, and is not banned.
func TestNewerPeerIsNotBanned(t *testing.T) {
	o := newOffenders(t)
	frame := []byte(`{"v":1,"items":[{"type":"job_reject","body":{"lease":"1","reason":"tired"}}]}`)
	for range 100 {
		s := o.open(2)
		if err := s.Send(t.Context(), frame); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(t.Context()); err == nil {
			t.Error("the link goes on")
		}
		_ = s.Close()
	}
	if b := o.hosts[0].Banned(); len(b) != 0 {
		t.Errorf("banned: %+v", b)
	}
	o.submit(0)
}
