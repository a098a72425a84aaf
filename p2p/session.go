package p2p

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/tenzro/tenzro/core"
)

const (
	inboundFrames = 64 // received and not yet taken by Recv; the peer waits beyond
	ackFrames     = 64 // received frames after which an acknowledgement goes out alone
	ackIdle       = 2 * time.Second
	closeTimeout  = 2 * time.Second // how long Close waits for the peer to confirm
)

// The two ways a session ends well: this side closed it, or the peer did. They
// are compared by identity, as the error of a broken stream may wrap anything.
var (
	errSessionClosed = errors.New("session closed")
	errPeerClosed    = errors.New("closed by the peer")
)

// Session is a framed duplex channel to one peer that outlives its connection:
// every frame arrives once and in order, or the session ends. It is safe for
// concurrent use; frames of concurrent Sends are ordered among themselves
// somehow. Sending must not wait for receiving on both sides at once: run Recv in
// its own goroutine.
type Session struct {
	m      *sessions
	peer   peer.ID
	name   core.NodeID
	proto  string
	id     [16]byte
	dialed bool

	ctx    context.Context // ends with the session
	cancel context.CancelFunc
	in     chan []byte
	wake   chan struct{} // the writer has something to look at

	handover sync.Mutex // held while one stream replaces another; before mu

	mu       sync.Mutex
	err      error // why it ended
	win      window
	space    chan struct{} // closed when the window shrinks; nil when nobody waits
	received uint64        // highest sequence handed to in
	acked    uint64        // highest sequence we acknowledged
	ackNow   bool          // acknowledge even without anything to send
	ackArmed bool          // ackTimer runs
	ackTimer *time.Timer
	closing  bool // our last frame, which ends the session, is in the window
	link     *link
	linked   bool // it ever had one
	resumes  int
	parked   *time.Timer // acceptor without a stream: ends the session
}

// SessionStats is a snapshot of a session's work.
type SessionStats struct {
	Sent         uint64 // frames given to Send
	Received     uint64 // frames received in order
	Unacked      int    // frames kept for the peer
	UnackedBytes int
	Resumes      int  // connections after the first
	Connected    bool // a stream carries it now
}

func newSession(m *sessions, p peer.ID, proto string, id [16]byte, dialed bool) *Session {
	s := &Session{m: m, peer: p, name: nodeID(p), proto: proto, id: id, dialed: dialed, win: newWindow(),
		in: make(chan []byte, inboundFrames), wake: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(m.h.ctx)
	return s
}

// Peer returns the authenticated node at the other end.
func (s *Session) Peer() core.NodeID { return s.name }

// Protocol returns the protocol the session was opened for.
func (s *Session) Protocol() string { return s.proto }

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.ctx.Done() }

// Stats returns what the session did so far.
func (s *Session) Stats() SessionStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return SessionStats{Sent: s.win.first + uint64(len(s.win.frames)) - 1, Received: s.received, Unacked: len(s.win.frames),
		UnackedBytes: s.win.bytes, Resumes: s.resumes, Connected: s.link != nil}
}

// Send queues a frame of 1 to MaxFrame bytes; the caller may reuse it afterwards.
// It blocks while the peer has not acknowledged 1,024 frames or 8 MiB. Returning
// nil promises delivery only as long as the session lives; after its end the
// error is core.Unavailable.
func (s *Session) Send(ctx context.Context, frame []byte) error {
	if len(frame) == 0 || len(frame) > MaxFrame {
		return core.Errorf(core.Invalid, "session.send", "frame has %d bytes; it must have 1 to %d", len(frame), MaxFrame)
	}
	for {
		wait, err := s.offer(frame)
		if err != nil || wait == nil {
			return err
		}
		select {
		case <-wait:
		case <-s.ctx.Done():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// offer puts frame into the window, or returns what to wait for.
func (s *Session) offer(frame []byte) (wait <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.closing {
		return nil, s.ended()
	}
	if s.win.full(len(frame) + frameHeader) {
		if s.space == nil {
			s.space = make(chan struct{})
		}
		return s.space, nil
	}
	s.win.push(frame)
	s.signal()
	return nil, nil
}

// Recv returns the next frame, which then belongs to the caller. After the peer
// closed and everything was received it is io.EOF; after any other end
// core.Unavailable.
func (s *Session) Recv(ctx context.Context) ([]byte, error) {
	select {
	case f := <-s.in:
		return f, nil
	default:
	}
	select {
	case f := <-s.in:
		return f, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.ctx.Done():
	}
	select {
	case f := <-s.in:
		return f, nil
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == errPeerClosed {
		return nil, io.EOF
	}
	return nil, s.ended()
}

// ended describes the end to a caller. s.mu is held.
func (s *Session) ended() error {
	err := s.err
	if err == nil {
		err = errSessionClosed
	}
	return core.Errorf(core.Unavailable, "session", "session with %s ended: %w", s.name, err)
}

// Close tells the peer that nothing follows, waits a moment until it has received
// what was sent, and ends the session. What the peer still sends is lost.
func (s *Session) Close() error {
	s.mu.Lock()
	attached := s.link != nil
	if s.err == nil && !s.closing {
		s.closing = true
		s.win.push(nil)
		s.signal()
	}
	s.mu.Unlock()
	if attached {
		timer := time.NewTimer(closeTimeout)
		defer timer.Stop()
		select {
		case <-s.ctx.Done():
		case <-timer.C:
		}
	}
	s.end(errSessionClosed)
	return nil
}

// end ends the session once; the first reason stays.
func (s *Session) end(err error) {
	s.mu.Lock()
	first := s.err == nil
	if first {
		s.err = err
		s.win.drop()
		stopTimer(s.ackTimer)
		stopTimer(s.parked)
		if s.link != nil { // its writer says farewell, for so long
			_ = s.link.stream.SetDeadline(time.Now().Add(lastWords))
		}
	}
	s.mu.Unlock()
	if first {
		s.cancel()
		s.m.remove(s)
	}
}

func stopTimer(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

// signal wakes the writer.
func (s *Session) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// accept takes the bookkeeping of a received header: what it acknowledges, and
// whether its sequence is the one that must come.
func (s *Session) accept(f header) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	freed, err := s.win.ack(f.ack)
	if err != nil {
		return err
	}
	if freed && s.space != nil {
		close(s.space)
		s.space = nil
	}
	if s.closing && len(s.win.frames) == 0 {
		return errSessionClosed
	}
	if f.seq != 0 && f.seq != s.received+1 {
		return broke(brokeSequence, "frame %d came where %d was expected", f.seq, s.received+1)
	}
	return nil
}

// arrived counts a frame that is in the inbound queue, and sees to its
// acknowledgement.
func (s *Session) arrived(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = seq
	if s.err != nil {
		return
	}
	if s.received-s.acked >= ackFrames {
		s.ackNow = true
		s.signal()
		return
	}
	if s.ackArmed {
		return
	}
	s.ackArmed = true
	if s.ackTimer == nil {
		s.ackTimer = time.AfterFunc(ackIdle, s.ackDue)
		return
	}
	s.ackTimer.Reset(ackIdle)
}

func (s *Session) ackDue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ackArmed = false
	if s.received > s.acked {
		s.ackNow = true
		s.signal()
	}
}

// nextWrite returns what the writer puts on the stream next, nil for nothing.
func (s *Session) nextWrite() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	frame := s.win.take()
	if frame == nil && s.ackNow && s.received > s.acked {
		frame = make([]byte, frameHeader)
	}
	if frame != nil {
		setAck(frame, s.received)
		s.acked = s.received
		s.ackNow = false
	}
	return frame
}
