package p2p_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/p2p/p2ptest"
)

// A peer that breaks the session protocol again and again is banned for minutes,
// with one line and one count; the session of another peer goes on. This node does
// not ban itself.
func TestOffendersAreBanned(t *testing.T) {
	reg, out := prometheus.NewRegistry(), &syncBuffer{}
	c := p2p.Config{Identity: p2ptest.Identity(50), Network: p2ptest.NetworkID, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, LANPort: p2p.Off}
	h, err := p2p.New(c, reg, zerolog.New(out))
	must(t, err)
	defer h.Close()
	accepted := make(chan *p2p.Session, 1)
	h.HandleSessions(proto, func(s *p2p.Session) { accepted <- s })
	peers := p2ptest.Loopback(t, 2, tcpOnly, func(_ int, c *p2p.Config) { c.Bootstrap = nil })
	evil, honest := peers[0], peers[1]
	must(t, evil.Connect(t.Context(), h.Addrs()[0]))
	must(t, honest.Connect(t.Context(), h.Addrs()[0]))
	good := open(t, honest, h)
	defer good.Close()
	theirs := receive(t, accepted)

	for range 20 {
		h.Offended(h.ID(), p2p.Forged, 1)
	}
	eventually(t, func() bool {
		if s, err := evil.OpenStream(t.Context(), h.ID(), proto); err == nil {
			_, _ = s.Write(bytes.Repeat([]byte{0xff}, 64))
			_, _ = s.Read(make([]byte, 1)) // until it is reset
		}
		return len(h.Banned()) > 0
	})
	b := h.Banned()
	if left := time.Until(b[0].Until); len(b) != 1 || b[0].ID != evil.ID() || left < 3*time.Minute || left > 5*time.Minute {
		t.Errorf("banned: %+v", b)
	}
	eventually(t, func() bool { return !p2ptest.Connected(h, evil) })
	if err := h.ConnectPeer(t.Context(), evil.ID()); core.KindOf(err) != core.Denied {
		t.Errorf("connecting to the banned: %v", err)
	}
	if n := counter(t, reg, "tenzro_p2p_bans_total", "violation"); n != 1 {
		t.Errorf("%v bans are counted", n)
	}
	if n := bytes.Count([]byte(out.String()), []byte("peer banned")); n != 1 {
		t.Errorf("%d lines about the ban", n)
	}
	must(t, good.Send(t.Context(), []byte("still here")))
	if f, err := theirs.Recv(t.Context()); err != nil || string(f) != "still here" {
		t.Errorf("the honest one sent %q, %v", f, err)
	}
}

// Whom a host spares is not banned, whatever he sends, and one line says so; a stranger
// beside him is.
func TestSparedIsNotBanned(t *testing.T) {
	reg, out := prometheus.NewRegistry(), &syncBuffer{}
	c := p2p.Config{Identity: p2ptest.Identity(50), Network: p2ptest.NetworkID, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, LANPort: p2p.Off}
	h, err := p2p.New(c, reg, zerolog.New(out))
	must(t, err)
	defer h.Close()
	friend, stranger := p2ptest.Identity(51).ID(), p2ptest.Identity(52).ID()
	h.Spare(func(id core.NodeID) bool { return id == friend })
	h.Offended(friend, p2p.Malformed, 100)
	eventually(t, func() bool { return bytes.Count([]byte(out.String()), []byte("cannot do without")) == 1 })
	h.Offended(friend, p2p.Malformed, 100)
	h.Offended(stranger, p2p.Malformed, 10)
	eventually(t, func() bool { return len(h.Banned()) > 0 })
	if b := h.Banned(); len(b) != 1 || b[0].ID != stranger {
		t.Errorf("banned: %+v", b)
	}
	if n := counter(t, reg, "tenzro_p2p_bans_total", "malformed"); n != 1 {
		t.Errorf("%v bans are counted", n)
	}
}
