package p2p_test

import (
	"context"
	"encoding/binary"
	"io"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/p2p/p2ptest"
)

const benchFrame = 256

func tcpOnly(_ int, c *p2p.Config) { c.Listen = []string{"/ip4/127.0.0.1/tcp/0"} }

// BenchmarkRawStream is the yardstick: a request and its answer over one reused
// libp2p stream, framed by a length.
func BenchmarkRawStream(b *testing.B) {
	hosts := p2ptest.Loopback(b, 2, tcpOnly)
	proto := p2p.ProtocolID(p2ptest.NetworkID, "raw", "1.0.0")
	hosts[0].HandleStream(proto, func(_ context.Context, _ core.NodeID, s p2p.Stream) {
		buf := make([]byte, 4+benchFrame)
		for {
			if _, err := io.ReadFull(s, buf); err != nil {
				return
			}
			if _, err := s.Write(buf); err != nil {
				return
			}
		}
	})
	must(b, hosts[1].Connect(b.Context(), hosts[0].Addrs()[0]))
	s, err := hosts[1].OpenStream(b.Context(), hosts[0].ID(), proto)
	must(b, err)
	defer s.Close()
	buf := binary.BigEndian.AppendUint32(make([]byte, 0, 4+benchFrame), benchFrame)
	buf = buf[:cap(buf)]
	b.ReportAllocs()
	for b.Loop() {
		_, err := s.Write(buf)
		must(b, err)
		_, err = io.ReadFull(s, buf)
		must(b, err)
	}
}

// BenchmarkSession is the same over a session.
func BenchmarkSession(b *testing.B) {
	hosts := p2ptest.Loopback(b, 2, tcpOnly)
	s := echoSession(b, hosts)
	defer s.Close()
	frame := make([]byte, benchFrame)
	b.ReportAllocs()
	for b.Loop() {
		must(b, s.Send(b.Context(), frame))
		_, err := s.Recv(b.Context())
		must(b, err)
	}
}

// BenchmarkSessionStream sends without waiting for answers.
func BenchmarkSessionStream(b *testing.B) {
	hosts := p2ptest.Loopback(b, 2, tcpOnly)
	s := echoSession(b, hosts)
	defer s.Close()
	frame := make([]byte, 4096)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	sent := make(chan struct{}, 512)
	go func() {
		for {
			if _, err := s.Recv(b.Context()); err != nil {
				return
			}
			<-sent
		}
	}()
	for b.Loop() {
		sent <- struct{}{}
		must(b, s.Send(b.Context(), frame))
	}
}

func echoSession(tb testing.TB, hosts []*p2p.Host) *p2p.Session {
	tb.Helper()
	proto := p2p.ProtocolID(p2ptest.NetworkID, "echo", "1.0.0")
	hosts[0].HandleSessions(proto, func(s *p2p.Session) {
		for {
			frame, err := s.Recv(context.Background())
			if err != nil || s.Send(context.Background(), frame) != nil {
				return
			}
		}
	})
	must(tb, hosts[1].Connect(tb.Context(), hosts[0].Addrs()[0]))
	s, err := hosts[1].OpenSession(tb.Context(), hosts[0].ID(), proto)
	must(tb, err)
	return s
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
