package p2p

import (
	"bufio"
	"errors"
	"time"
)

const (
	readBuffer  = 4 << 10
	writeBuffer = 8 << 10
	lastWords   = 2 * time.Second // for the final acknowledgement
)

// errReplaced ends a link whose session went on over another stream.
var errReplaced = errors.New("session resumed over another stream")

// link is one stream that carries a session. One goroutine reads, one writes;
// both have ended when finished is closed.
type link struct {
	s        *Session
	stream   Stream
	stop     chan struct{} // closed to make both end
	finished chan struct{}
	replaced bool // another stream took over; guarded by s.mu
}

func newLink(s *Session, stream Stream) *link {
	return &link{s: s, stream: stream, stop: make(chan struct{}), finished: make(chan struct{})}
}

// run carries the session until the stream breaks, the session ends or the link
// is replaced, and says which. The caller has attached it.
func (l *link) run() error {
	written := make(chan struct{})
	go func() {
		defer close(written)
		l.write()
	}()
	err := l.read()
	l.conclude(err)
	if l.s.detach(l) {
		err = errReplaced
	}
	<-written
	close(l.finished)
	return err
}

// conclude turns what ended the reading into an end of the session where it is
// one.
func (l *link) conclude(err error) {
	var v *violation
	switch {
	case errors.As(err, &v):
		l.s.m.violated(l.s.peer, v)
		l.s.end(v)
		_ = l.stream.Reset()
	case err == errSessionClosed:
		l.s.end(errSessionClosed)
	}
}

func (l *link) read() error {
	r := bufio.NewReaderSize(l.stream, readBuffer)
	for {
		f, payload, err := readFrame(r)
		if err != nil {
			return err
		}
		if err := l.s.accept(f); err != nil {
			return err
		}
		if f.seq == 0 {
			continue
		}
		if payload == nil {
			l.s.arrived(f.seq)
			l.s.end(errPeerClosed)
			return errSessionClosed
		}
		select {
		case l.s.in <- payload:
			l.s.arrived(f.seq)
		case <-l.stop:
			return errReplaced
		case <-l.s.ctx.Done():
			return errSessionClosed
		}
	}
}

func (l *link) write() {
	w := bufio.NewWriterSize(l.stream, writeBuffer)
	for {
		frame := l.s.nextWrite()
		if frame != nil {
			if _, err := w.Write(frame); err != nil {
				_ = l.stream.Reset()
				return
			}
			continue
		}
		if w.Buffered() > 0 {
			if err := w.Flush(); err != nil {
				_ = l.stream.Reset()
				return
			}
			continue // something may have come meanwhile
		}
		select {
		case <-l.s.wake:
		case <-l.stop:
			l.farewell(w)
			return
		case <-l.s.ctx.Done():
			l.farewell(w)
			return
		}
	}
}

// farewell acknowledges the peer's last frame and closes the stream; a session
// that did not end well resets it.
func (l *link) farewell(w *bufio.Writer) {
	ack, well := l.s.lastAck()
	if !well {
		_ = l.stream.Reset()
		return
	}
	_ = l.stream.SetWriteDeadline(time.Now().Add(lastWords))
	_, err := w.Write(ack)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		_ = l.stream.Reset()
	}
	_ = l.stream.Close()
}

// takeOver makes l the stream of the session, which the peer expects to continue
// at expected, and returns what we expect. A link that is there ends first, so
// that everything it received is counted.
func (s *Session) takeOver(l *link, expected uint64) (next uint64, err error) {
	s.handover.Lock()
	defer s.handover.Unlock()
	if old := s.release(); old != nil {
		_ = old.stream.Reset()
		<-old.finished
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	if err := s.win.rewind(expected); err != nil {
		return 0, err
	}
	if s.space != nil {
		close(s.space)
		s.space = nil
	}
	stopTimer(s.parked)
	if s.linked {
		s.resumes++
	}
	s.link, s.linked = l, true
	s.acked = s.received
	return s.received + 1, nil
}

// release takes the current link off the session and stops it.
func (s *Session) release() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.link
	if l != nil {
		s.link = nil
		l.replaced = true
		close(l.stop)
	}
	return l
}

// detach makes l no longer the stream of the session, stops its writer, and
// reports whether another stream took over.
func (s *Session) detach(l *link) (replaced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == l {
		s.link = nil
		close(l.stop)
	}
	return l.replaced
}

// startWaiting gives an accepted session without a stream until then to come
// back; false when it has one or has ended.
func (s *Session) startWaiting(window time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil || s.err != nil {
		return false
	}
	s.parked = time.AfterFunc(window, func() {
		s.m.h.metrics.resumes.WithLabelValues("lost").Inc()
		s.end(errors.New("the peer did not come back in time"))
	})
	return true
}

// expected returns the sequence we expect next.
func (s *Session) expected() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received + 1
}

// lastAck returns the final acknowledgement, and whether the session ended by a
// Close of either side.
func (s *Session) lastAck() (frame []byte, well bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	frame = make([]byte, frameHeader)
	setAck(frame, s.received)
	return frame, s.err == errPeerClosed || s.err == errSessionClosed
}
