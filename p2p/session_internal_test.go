package p2p

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

// The window against a model: what was pushed comes out in order, whatever is
// acknowledged and wherever the peer continues, and never more than is allowed.
func TestWindowKeepsWhatIsNotAcknowledged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWindow()
		var pushed, peer uint64 // frames pushed; frames the peer has
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				n := rapid.IntRange(0, 100).Draw(t, "bytes")
				if !w.full(n + frameHeader) {
					w.push(make([]byte, n))
					pushed++
				}
			},
			"write and deliver": func(t *rapid.T) {
				frame := w.take()
				if frame == nil {
					return
				}
				h, err := parseHeader(frame)
				if err != nil || h.seq > peer+1 {
					t.Fatalf("frame %d is written where %d is due (%v)", h.seq, peer+1, err)
				}
				peer = max(peer, h.seq)
			},
			"acknowledge": func(t *rapid.T) {
				if _, err := w.ack(rapid.Uint64Range(0, peer).Draw(t, "ack")); err != nil {
					t.Fatal(err)
				}
			},
			"acknowledge the future": func(t *rapid.T) {
				if _, err := w.ack(w.written + rapid.Uint64Range(1, 1<<40).Draw(t, "ahead")); err == nil {
					t.Fatal("accepted")
				}
			},
			"resume": func(t *rapid.T) {
				if err := w.rewind(peer + 1); err != nil {
					t.Fatal(err)
				}
			},
			"resume before what was acknowledged": func(t *rapid.T) {
				if w.first > 1 && w.rewind(w.first-1) == nil {
					t.Fatal("accepted")
				}
			},
			"": func(t *rapid.T) {
				if kept := uint64(len(w.frames)); w.first+kept != pushed+1 || kept > windowFrames || w.bytes > windowBytes+frameHeader {
					t.Fatalf("first %d, %d frames, %d bytes; %d were pushed", w.first, kept, w.bytes, pushed)
				}
			},
		})
	})
}

func TestWindowIsBoundedInBytes(t *testing.T) {
	w := newWindow()
	for !w.full(MaxFrame + frameHeader) {
		w.push(make([]byte, MaxFrame))
	}
	if w.bytes > windowBytes || len(w.frames) < 100 {
		t.Errorf("full with %d frames, %d bytes", len(w.frames), w.bytes)
	}
}

// script is a stream that gives fixed bytes and swallows what is written.
type script struct{ io.Reader }

func (script) Write(b []byte) (int, error)      { return len(b), nil }
func (script) Close() error                     { return nil }
func (script) CloseWrite() error                { return nil }
func (script) Reset() error                     { return nil }
func (script) SetDeadline(time.Time) error      { return nil }
func (script) SetReadDeadline(time.Time) error  { return nil }
func (script) SetWriteDeadline(time.Time) error { return nil }

// loose returns a session of a host without sockets.
func loose(t testing.TB) *Session {
	id := keys.FromSeed([32]byte{1})
	r, err := Config{Identity: id, Network: "test", Listen: []string{}}.resolve()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	h := &Host{cfg: r, ctx: ctx, cancel: cancel, log: zerolog.Nop(), metrics: newMetrics(nil)}
	h.sessions = newSessions(h)
	return newSession(h.sessions, r.self, "/test", [16]byte{1}, false)
}

// Whatever a peer sends, the frames that come out are those with the sequences
// 1, 2, 3 ..., and the session stays within its bounds.
func FuzzSessionStream(f *testing.F) {
	one := make([]byte, frameHeader, 64)
	header{length: 5, seq: 1}.put(one)
	one = append(one, "hello"...)
	two := make([]byte, frameHeader)
	header{seq: 2}.put(two)
	f.Add(one)
	f.Add(append(bytes.Clone(one), two...))
	f.Add(append(bytes.Clone(one), one...))
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := loose(t)
		l := newLink(s, script{bytes.NewReader(b)})
		if _, err := s.takeOver(l, 1); err != nil {
			t.Fatal(err)
		}
		got := make(chan int)
		go func() {
			n := 0
			for {
				frame, err := s.Recv(context.Background())
				if err != nil {
					got <- n
					return
				}
				if n++; len(frame) == 0 || len(frame) > MaxFrame {
					panic(fmt.Sprintf("frame of %d bytes", len(frame)))
				}
			}
		}()
		err := l.run()
		received := s.received
		s.end(errors.New("over"))
		if n := <-got; uint64(n) != received && uint64(n)+1 != received { // the last may have ended the session
			t.Fatalf("%d frames came out, %d were counted (%v)", n, received, err)
		}
	})
}

// Only a Close of the peer reads as the end of the session; a stream that broke
// with EOF does not.
func TestABrokenStreamIsNoEnd(t *testing.T) {
	for _, tc := range []struct {
		name string
		why  error
		eof  bool
	}{
		{"peer closed", errPeerClosed, true},
		{"stream broke with EOF", fmt.Errorf("not reachable: %w", io.EOF), false},
		{"closed here", errSessionClosed, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := loose(t)
			s.end(tc.why)
			_, err := s.Recv(t.Context())
			if (err == io.EOF) != tc.eof || !tc.eof && core.KindOf(err) != core.Unavailable {
				t.Errorf("Recv: %v", err)
			}
		})
	}
}

func FuzzHello(f *testing.F) {
	f.Add(hello{code: flagResume, id: [16]byte{1}, next: 7}.encode())
	f.Add(hello{next: 1}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeHello(b)
		if err == nil && !bytes.Equal(m.encode(), b) {
			t.Fatalf("% x decodes and encodes to % x", b, m.encode())
		}
	})
}

// The bytes of the handshake and of a frame, as docs/spec/session.md shows them.
func TestSessionBytes(t *testing.T) {
	if got := fmt.Sprintf("%x", hello{code: flagResume, id: [16]byte{0xaa, 15: 0xbb}, next: 258}.encode()); got != "545a533101aa0000000000000000000000000000bb0000000000000102" {
		t.Errorf("handshake is %s", got)
	}
	frame := make([]byte, frameHeader)
	header{length: 5, seq: 3}.put(frame)
	setAck(frame, 2)
	if got := fmt.Sprintf("%x", frame); got != "0000000500000000000000030000000000000002" {
		t.Errorf("header is %s", got)
	}
}
