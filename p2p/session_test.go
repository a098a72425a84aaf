package p2p_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/p2p/p2ptest"
)

var proto = p2p.ProtocolID(p2ptest.NetworkID, "test", "1.0.0")

// pair returns two served hosts that are connected; the second accepts sessions
// into the channel.
func pair(t *testing.T, edits ...p2ptest.Edit) (dialer, acceptor *p2p.Host, accepted chan *p2p.Session) {
	t.Helper()
	hosts := p2ptest.Loopback(t, 2, append([]p2ptest.Edit{tcpOnly}, edits...)...)
	accepted = make(chan *p2p.Session, 16)
	hosts[0].HandleSessions(proto, func(s *p2p.Session) { accepted <- s })
	must(t, hosts[1].Connect(t.Context(), hosts[0].Addrs()[0]))
	return hosts[1], hosts[0], accepted
}

func open(t *testing.T, from, to *p2p.Host) *p2p.Session {
	t.Helper()
	s, err := from.OpenSession(t.Context(), to.ID(), proto)
	must(t, err)
	return s
}

// Frames of every allowed size arrive once, in order, both ways, unchanged, on one
// lasting connection.
//
// spec 4.21
func TestSessionCarriesFrames(t *testing.T) {
	dialer, acceptor, accepted := pair(t)
	a := open(t, dialer, acceptor)
	defer a.Close()
	b := receive(t, accepted)
	if a.Peer() != acceptor.ID() || b.Peer() != dialer.ID() || a.Protocol() != proto {
		t.Errorf("peers are %s and %s", a.Peer(), b.Peer())
	}
	sizes := []int{1, 2, 19, 20, 21, 4095, 4096, 4097, p2p.MaxFrame - 1, p2p.MaxFrame}
	for _, ends := range [][2]*p2p.Session{{a, b}, {b, a}} {
		go func() {
			for i, n := range sizes {
				frame := bytes.Repeat([]byte{byte(i + 1)}, n)
				if ends[0].Send(t.Context(), frame) != nil {
					return // the receiver misses it
				}
				clear(frame) // the caller may reuse it
			}
		}()
		for i, n := range sizes {
			got, err := ends[1].Recv(t.Context())
			must(t, err)
			if !bytes.Equal(got, bytes.Repeat([]byte{byte(i + 1)}, n)) {
				t.Fatalf("frame %d of %d bytes came as %d bytes", i, n, len(got))
			}
		}
	}
	if st := a.Stats(); st.Sent != uint64(len(sizes)) || st.Received != uint64(len(sizes)) || !st.Connected {
		t.Errorf("stats %+v", st)
	}
}

func TestSendRefusesWrongSizes(t *testing.T) {
	dialer, acceptor, _ := pair(t)
	s := open(t, dialer, acceptor)
	defer s.Close()
	for _, n := range []int{0, p2p.MaxFrame + 1} {
		if err := s.Send(t.Context(), make([]byte, n)); core.KindOf(err) != core.Invalid {
			t.Errorf("Send of %d bytes: %v; want invalid", n, err)
		}
	}
}

// A peer that does not read makes Send wait, within its context, and nothing
// grows without bound; nothing is lost once it reads.
func TestSendWaitsForASlowPeer(t *testing.T) {
	dialer, acceptor, accepted := pair(t)
	a := open(t, dialer, acceptor)
	defer a.Close()
	b := receive(t, accepted)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	sent := 0
	var err error
	for ; err == nil && sent < 4000; sent++ {
		err = a.Send(ctx, binary.BigEndian.AppendUint32(make([]byte, 32<<10), uint32(sent)))
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("after %d frames: %v; want the deadline", sent, err)
	}
	if st := a.Stats(); st.UnackedBytes > 8<<20 || st.Unacked > 1024 {
		t.Errorf("the window grew to %+v", st)
	}
	for i := range sent - 1 {
		frame, err := b.Recv(t.Context())
		must(t, err)
		if got := binary.BigEndian.Uint32(frame[32<<10:]); got != uint32(i) {
			t.Fatalf("frame %d came where %d was expected", got, i)
		}
	}
}

// Close delivers what was sent, tells the peer, and ends both sides.
func TestCloseIsGraceful(t *testing.T) {
	dialer, acceptor, accepted := pair(t)
	for _, who := range []string{"dialer", "acceptor"} {
		t.Run(who+" closes", func(t *testing.T) {
			closer := open(t, dialer, acceptor)
			other := receive(t, accepted)
			if who == "acceptor" {
				closer, other = other, closer
			}
			for i := range 50 {
				must(t, closer.Send(t.Context(), fmt.Append(nil, i)))
			}
			start := time.Now()
			must(t, closer.Close())
			must(t, closer.Close())
			if d := time.Since(start); d > time.Second {
				t.Errorf("Close took %s", d)
			}
			must(t, expect(t.Context(), other, 50))
			if _, err := other.Recv(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("Recv after the last frame: %v; want EOF", err)
			}
			receive(t, other.Done())
			receive(t, closer.Done())
			for _, s := range []*p2p.Session{closer, other} {
				if err := s.Send(t.Context(), []byte("late")); core.KindOf(err) != core.Unavailable {
					t.Errorf("Send after the end: %v; want unavailable", err)
				}
			}
		})
	}
}

// Both sides send while their connection is broken again and again.
//
// spec 2.49
func TestSessionResumesUnderFire(t *testing.T) {
	dialer, acceptor, accepted := pair(t)
	a := open(t, dialer, acceptor)
	defer a.Close()
	b := receive(t, accepted)
	const frames = 3000
	result := make(chan error, 2)
	for _, ends := range [][2]*p2p.Session{{a, b}, {b, a}} {
		go func() {
			for i := range frames {
				if err := ends[0].Send(t.Context(), fmt.Append(nil, i)); err != nil {
					return // the receiver misses it
				}
			}
		}()
		go func() { result <- expect(t.Context(), ends[1], frames) }()
	}
	for range 20 {
		p2ptest.Break(t, dialer, acceptor)
		redial(t, dialer, acceptor)
	}
	must(t, receive(t, result))
	must(t, receive(t, result))
	if st := a.Stats(); st.Resumes == 0 {
		t.Errorf("never resumed: %+v", st)
	}
}

// redial connects two hosts of which either may be dialing the other: when both
// do at once from the ports they listen on, TCP makes one connection of the two
// and both are its client, so that one try may fail.
func redial(t *testing.T, from, to *p2p.Host) {
	t.Helper()
	var err error
	for range 20 {
		if err = from.ConnectPeer(t.Context(), to.ID()); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// A process that is gone for longer than the window ends the session on the
// other side, as does one that came back without its memory.
func TestForgottenSessionsEnd(t *testing.T) {
	dialer, acceptor, accepted := pair(t, func(_ int, c *p2p.Config) { c.ResumeWindow = 300 * time.Millisecond })
	s := open(t, dialer, acceptor)
	other := receive(t, accepted)
	must(t, acceptor.Close())
	for name, s := range map[string]*p2p.Session{"the closed host's": other, "the survivor's": s} {
		if _, err := s.Recv(t.Context()); core.KindOf(err) != core.Unavailable {
			t.Errorf("%s session: Recv: %v; want unavailable", name, err)
		}
	}
}

// One peer gets four sessions; sessions of a process that died give way.
func TestSessionsPerPeerAreBounded(t *testing.T) {
	dialer, acceptor, accepted := pair(t)
	var mine, theirs []*p2p.Session
	for range 4 {
		mine = append(mine, open(t, dialer, acceptor))
		theirs = append(theirs, receive(t, accepted))
	}
	if _, err := dialer.OpenSession(t.Context(), acceptor.ID(), proto); core.KindOf(err) != core.Exhausted {
		t.Fatalf("fifth session: %v; want exhausted", err)
	}
	must(t, mine[0].Close())
	receive(t, theirs[0].Done())
	mine[0] = open(t, dialer, acceptor)
	receive(t, accepted)
	for _, s := range mine {
		must(t, s.Close())
	}
}

// A process that dies leaves sessions nobody will resume; the next one with the
// same identity is not kept out by them.
func TestSessionsOfADeadProcessGiveWay(t *testing.T) {
	dialer, acceptor, accepted := pair(t)
	var dead []*p2p.Session
	for i := range byte(4) {
		stream, err := dialer.OpenStream(t.Context(), acceptor.ID(), proto)
		must(t, err)
		_, err = stream.Write(handshake(0, i, 1))
		must(t, err)
		dead = append(dead, receive(t, accepted))
	}
	p2ptest.Break(t, dialer, acceptor)
	for _, s := range dead {
		eventually(t, func() bool { return !s.Stats().Connected })
	}
	s := open(t, dialer, acceptor)
	defer s.Close()
	receive(t, accepted)
	ended := 0
	for _, s := range dead {
		if isClosed(s.Done()) {
			ended++
		}
	}
	if ended != 1 {
		t.Errorf("%d of the 4 dead sessions gave way; want 1", ended)
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestSessionWithoutHandler(t *testing.T) {
	dialer, acceptor, _ := pair(t)
	_, err := dialer.OpenSession(t.Context(), acceptor.ID(), p2p.ProtocolID(p2ptest.NetworkID, "nobody", "1.0.0"))
	if core.KindOf(err) != core.Unsupported {
		t.Errorf("OpenSession: %v; want unsupported", err)
	}
}

const magic = "TZS1"

func handshake(flags byte, id byte, next uint64) []byte {
	b := append([]byte(magic), flags)
	b = append(b, bytes.Repeat([]byte{id}, 16)...)
	return binary.BigEndian.AppendUint64(b, next)
}

func frame(length uint32, seq, ack uint64, payload string) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint64(b, seq)
	b = binary.BigEndian.AppendUint64(b, ack)
	return append(b, payload...)
}

// A peer that breaks the protocol loses the stream and the session, and is
// counted.
func TestHostilePeers(t *testing.T) {
	hello := handshake(0, 7, 1)
	for _, tc := range []struct {
		name, rule string
		opens      bool
		bytes      [][]byte
	}{
		{"garbage handshake", "handshake", false, [][]byte{bytes.Repeat([]byte{0xff}, 64)}},
		{"unknown flag", "handshake", false, [][]byte{handshake(2, 7, 1)}},
		{"new session that continues", "handshake", false, [][]byte{handshake(0, 7, 5)}},
		{"expects frame zero", "handshake", false, [][]byte{handshake(0, 7, 0)}},
		{"oversize frame", "length", true, [][]byte{hello, frame(p2p.MaxFrame+1, 1, 0, "")}},
		{"huge length", "length", true, [][]byte{hello, frame(1<<32-1, 1, 0, "")}},
		{"skips a frame", "sequence", true, [][]byte{hello, frame(1, 2, 0, "x")}},
		{"repeats a frame", "sequence", true, [][]byte{hello, frame(1, 1, 0, "x"), frame(1, 1, 0, "x")}},
		{"payload without sequence", "sequence", true, [][]byte{hello, frame(1, 0, 0, "x")}},
		{"acknowledges the future", "ack", true, [][]byte{hello, frame(1, 1, 9, "x")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			c := p2p.Config{Identity: p2ptest.Identity(50), Network: p2ptest.NetworkID, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, LANPort: p2p.Off}
			h, err := p2p.New(c, reg, zerolog.Nop())
			must(t, err)
			defer h.Close()
			accepted := make(chan *p2p.Session, 1)
			h.HandleSessions(proto, func(s *p2p.Session) { accepted <- s })
			evil := p2ptest.Loopback(t, 1, tcpOnly)[0]
			must(t, evil.Connect(t.Context(), h.Addrs()[0]))
			stream, err := evil.OpenStream(t.Context(), h.ID(), proto)
			must(t, err)
			for _, b := range tc.bytes {
				_, err := stream.Write(b)
				must(t, err)
			}
			must(t, stream.SetReadDeadline(time.Now().Add(5*time.Second)))
			rest, err := io.ReadAll(stream)
			if err == nil || len(rest) > 29+20 {
				t.Errorf("the stream was not reset: %d bytes, %v", len(rest), err)
			}
			if tc.opens {
				receive(t, receive(t, accepted).Done())
			}
			if n := counter(t, reg, "tenzro_p2p_session_violations_total", tc.rule); n != 1 {
				t.Errorf("%v violations of rule %s were counted; want 1", n, tc.rule)
			}
			must(t, testutil.GatherAndCompare(reg, strings.NewReader(
				"# HELP tenzro_p2p_sessions Sessions that are open, connected or waiting to resume.\n"+
					"# TYPE tenzro_p2p_sessions gauge\ntenzro_p2p_sessions 0\n"), "tenzro_p2p_sessions"))
		})
	}
}

// The id of a session is worth nothing to another peer.
func TestSessionsCannotBeStolen(t *testing.T) {
	hosts := p2ptest.Loopback(t, 3, tcpOnly)
	accepted := make(chan *p2p.Session, 1)
	hosts[0].HandleSessions(proto, func(s *p2p.Session) { accepted <- s })
	for _, h := range hosts[1:] {
		must(t, h.Connect(t.Context(), hosts[0].Addrs()[0]))
	}
	// The owner speaks by hand, so that the id is known.
	owner, err := hosts[1].OpenStream(t.Context(), hosts[0].ID(), proto)
	must(t, err)
	_, err = owner.Write(handshake(0, 7, 1))
	must(t, err)
	s := receive(t, accepted)
	must(t, s.Send(t.Context(), []byte("secret")))
	thief, err := hosts[2].OpenStream(t.Context(), hosts[0].ID(), proto)
	must(t, err)
	_, err = thief.Write(handshake(1, 7, 1))
	must(t, err)
	must(t, thief.SetReadDeadline(time.Now().Add(5*time.Second)))
	got, err := io.ReadAll(thief)
	must(t, err)
	if len(got) != 29 || got[4] != 1 || bytes.Contains(got, []byte("secret")) {
		t.Fatalf("the thief got %q; want status 1, unknown", got)
	}
	if st := s.Stats(); !st.Connected {
		t.Error("the owner lost its stream")
	}
	// The owner itself may resume, on a new stream, while the old one still stands.
	again, err := hosts[1].OpenStream(t.Context(), hosts[0].ID(), proto)
	must(t, err)
	_, err = again.Write(handshake(1, 7, 1))
	must(t, err)
	reply := make([]byte, 29+20+len("secret"))
	_, err = io.ReadFull(again, reply)
	must(t, err)
	if reply[4] != 0 || !bytes.HasSuffix(reply, []byte("secret")) {
		t.Fatalf("the owner got %q", reply)
	}
	must(t, again.Reset())
}

// counter returns the value of a counter with one label.
func counter(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
