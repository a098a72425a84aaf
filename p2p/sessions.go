package p2p

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/tenzro/tenzro/core"
)

const (
	// maxAccepted bounds the sessions one peer may have open towards us.
	maxAccepted = 4
	// maxParked bounds the accepted sessions without a stream; beyond it the one
	// that waits longest is given up.
	maxParked        = 4096
	handshakeTimeout = 5 * time.Second
	redialFirst      = 100 * time.Millisecond
	redialLast       = 5 * time.Second
	redialTimeout    = 10 * time.Second // of one attempt
	protectTag       = "session"        // keeps the connection manager off these peers
)

// sessions are the sessions of a host, both ways. Accepted ones are found by peer
// first: the id alone would let one peer resume another's.
type sessions struct {
	h *Host

	mu       sync.Mutex
	closed   bool
	all      map[*Session]struct{}
	accepted map[peer.ID]map[[16]byte]*Session
	parked   map[*Session]time.Time // accepted, without a stream since
	perPeer  map[peer.ID]int        // all sessions with it
}

func newSessions(h *Host) *sessions {
	return &sessions{h: h, all: map[*Session]struct{}{}, accepted: map[peer.ID]map[[16]byte]*Session{},
		parked: map[*Session]time.Time{}, perPeer: map[peer.ID]int{}}
}

// OpenSession opens a session with a peer, connecting first if needed, and keeps
// it connected until it ends. The peer must HandleSessions for the protocol.
func (h *Host) OpenSession(ctx context.Context, id core.NodeID, proto string) (*Session, error) {
	p, err := peerID(id)
	if err != nil {
		return nil, err
	}
	s := newSession(h.sessions, p, proto, [16]byte{}, true)
	if _, err := rand.Read(s.id[:]); err != nil {
		return nil, core.Errorf(core.Internal, "open session", "drawing a session id: %w", err)
	}
	ctx, cancel := withTimeout(ctx, dialTimeout)
	defer cancel()
	l, err := s.dial(ctx, 0)
	if err != nil {
		s.cancel()
		return nil, err
	}
	if !h.enter() {
		s.cancel()
		_ = l.stream.Reset()
		return nil, core.Errorf(core.Unavailable, "open session", "the host is closed")
	}
	h.sessions.add(s)
	go func() {
		defer h.handlers.Done()
		s.keep(l)
	}()
	return s, nil
}

// HandleSessions serves a session protocol. fn runs in its own goroutine for each
// new session, which stays open when fn returns, until Close.
func (h *Host) HandleSessions(proto string, fn func(*Session)) {
	h.host.SetStreamHandler(protocol.ID(proto), func(stream network.Stream) {
		h.serveStream(stream, func() { h.sessions.serve(stream, proto, fn) })
	})
}

// dial opens a stream for the session and shakes hands.
func (s *Session) dial(ctx context.Context, flags byte) (*link, error) {
	stream, err := s.m.h.openStream(ctx, s.peer, s.proto)
	if err != nil {
		return nil, err
	}
	answer, err := s.greet(ctx, stream, flags)
	if err == nil {
		err = s.refusal(answer.code)
	}
	l := newLink(s, stream)
	if err == nil {
		_, err = s.takeOver(l, answer.next)
	}
	if err != nil {
		s.m.rejected(stream, s.peer, err)
		return nil, err
	}
	return l, nil
}

func (s *Session) greet(ctx context.Context, stream network.Stream, flags byte) (hello, error) {
	defer context.AfterFunc(ctx, func() { _ = stream.Reset() })()
	_ = stream.SetDeadline(time.Now().Add(handshakeTimeout)) // streams have deadlines; a broken one fails below
	if _, err := stream.Write(hello{code: flags, id: s.id, next: s.expected()}.encode()); err != nil {
		return hello{}, streamError(s.peer, s.proto, err)
	}
	answer, err := readHello(stream)
	if err != nil {
		return hello{}, streamError(s.peer, s.proto, err)
	}
	if answer.id != s.id {
		return hello{}, broke(brokeHandshake, "answer for another session")
	}
	return answer, stream.SetDeadline(time.Time{})
}

func (s *Session) refusal(status byte) error {
	switch status {
	case statusOK:
		return nil
	case statusUnknown:
		return core.Errorf(core.NotFound, "session", "peer %s has forgotten the session", s.name)
	case statusBusy:
		return core.Errorf(core.Exhausted, "session", "peer %s keeps no more than %d sessions of one node", s.name, maxAccepted)
	}
	return core.Errorf(core.Unavailable, "session", "peer %s refused the session (status %d)", s.name, status)
}

// keep runs a dialed session over one stream after the other until it ends.
func (s *Session) keep(l *link) {
	for {
		cause := l.run()
		if s.over() {
			return
		}
		next, err := s.redial()
		if err != nil {
			s.m.h.metrics.resumes.WithLabelValues("lost").Inc()
			s.end(fmt.Errorf("%w (the connection broke with: %v)", err, cause))
			return
		}
		s.m.h.metrics.resumes.WithLabelValues("resumed").Inc()
		l = next
	}
}

// over reports whether the session has ended; one that was closing ends with its
// stream.
func (s *Session) over() bool {
	s.mu.Lock()
	closing := s.closing
	s.mu.Unlock()
	if closing {
		s.end(errSessionClosed)
	}
	return s.ctx.Err() != nil
}

// redial reconnects with back-off for as long as the peer keeps the session.
func (s *Session) redial() (*link, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.m.h.cfg.ResumeWindow)
	defer cancel()
	pause := &backoff.ExponentialBackOff{InitialInterval: redialFirst, MaxInterval: redialLast, Multiplier: 2, RandomizationFactor: 0.3}
	pause.Reset()
	return backoff.Retry(ctx, func() (*link, error) {
		try, cancel := context.WithTimeout(ctx, redialTimeout)
		defer cancel()
		l, err := s.dial(try, flagResume)
		var v *violation
		if errors.Is(err, core.NotFound) || errors.Is(err, core.Denied) || errors.As(err, &v) {
			return nil, backoff.Permanent(err)
		}
		return l, err
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0))
}

// serve is the acceptor's half: one stream, from handshake to break.
func (m *sessions) serve(stream network.Stream, proto string, fn func(*Session)) {
	p := stream.Conn().RemotePeer()
	_ = stream.SetDeadline(time.Now().Add(handshakeTimeout)) // a broken stream fails below
	ask, err := readAsk(stream)
	if err != nil {
		m.rejected(stream, p, err)
		return
	}
	s, status := m.admit(p, proto, ask)
	if status != statusOK {
		_, _ = stream.Write(hello{code: byte(status), id: ask.id, next: 1}.encode()) // it is refused either way
		return
	}
	l := newLink(s, stream)
	next, err := s.takeOver(l, ask.next)
	if err != nil {
		m.rejected(stream, p, err)
		s.end(err)
		return
	}
	m.unpark(s)
	m.carry(s, l, next, ask.code == flagResume, fn)
}

// carry answers the handshake, starts the handler of a new session and runs the
// link.
func (m *sessions) carry(s *Session, l *link, next uint64, resumed bool, fn func(*Session)) {
	_, err := l.stream.Write(hello{code: statusOK, id: s.id, next: next}.encode())
	if err == nil {
		err = l.stream.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = l.stream.Reset() // run notices
		if !resumed {
			s.end(err) // nobody knows it
		}
	}
	if err == nil && !resumed && m.h.enter() {
		go func() {
			defer m.h.handlers.Done()
			fn(s)
		}()
	}
	if cause := l.run(); cause != errReplaced {
		m.park(s)
	}
}

// admit finds the session to resume, or makes a new one.
func (m *sessions) admit(p peer.ID, proto string, ask hello) (*Session, int) {
	m.mu.Lock()
	known := m.accepted[p][ask.id]
	switch {
	case ask.code == flagResume && (known == nil || known.proto != proto):
		m.mu.Unlock()
		return nil, statusUnknown
	case ask.code == flagResume:
		m.mu.Unlock()
		return known, statusOK
	case known != nil:
		m.mu.Unlock()
		return nil, statusExists
	}
	evicted, ok := m.makeRoom(p)
	if m.closed || !ok {
		m.mu.Unlock()
		return nil, statusBusy
	}
	s := newSession(m, p, proto, ask.id, false)
	if m.accepted[p] == nil {
		m.accepted[p] = map[[16]byte]*Session{}
	}
	m.accepted[p][ask.id] = s
	m.mu.Unlock()
	m.add(s)
	if evicted != nil {
		evicted.end(errors.New("given up for a newer session of the same peer"))
	}
	return s, statusOK
}

// makeRoom reports whether p may open another session; one of its own that lost
// its stream gives way, as a node that restarted leaves such. m.mu is held.
func (m *sessions) makeRoom(p peer.ID) (evicted *Session, ok bool) {
	if len(m.accepted[p]) < maxAccepted {
		return nil, true
	}
	for _, s := range m.accepted[p] {
		if at, parked := m.parked[s]; parked && (evicted == nil || at.Before(m.parked[evicted])) {
			evicted = s
		}
	}
	return evicted, evicted != nil
}

// park keeps a session that lost its stream for the resume window.
func (m *sessions) park(s *Session) {
	if s.over() || !s.startWaiting(m.h.cfg.ResumeWindow) {
		return
	}
	m.mu.Lock()
	m.parked[s] = time.Now()
	var oldest *Session
	if len(m.parked) > maxParked {
		for c, at := range m.parked {
			if oldest == nil || at.Before(m.parked[oldest]) {
				oldest = c
			}
		}
	}
	m.mu.Unlock()
	if s.Stats().Connected || s.ctx.Err() != nil {
		m.unpark(s) // it came back, or ended, meanwhile
	}
	if oldest != nil {
		oldest.end(errors.New("given up: too many sessions wait for their peers"))
	}
}

func (m *sessions) unpark(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.parked, s)
}

func (m *sessions) add(s *Session) {
	m.mu.Lock()
	m.all[s] = struct{}{}
	m.perPeer[s.peer]++
	m.mu.Unlock()
	m.h.metrics.sessions.Inc()
	m.h.host.ConnManager().Protect(s.peer, protectTag)
}

func (m *sessions) remove(s *Session) {
	m.mu.Lock()
	_, known := m.all[s]
	delete(m.all, s)
	delete(m.parked, s)
	if m.accepted[s.peer][s.id] == s {
		if delete(m.accepted[s.peer], s.id); len(m.accepted[s.peer]) == 0 {
			delete(m.accepted, s.peer)
		}
	}
	last := false
	if known {
		m.perPeer[s.peer]--
		last = m.perPeer[s.peer] == 0
	}
	if last {
		delete(m.perPeer, s.peer)
	}
	m.mu.Unlock()
	if known {
		m.h.metrics.sessions.Dec()
	}
	if last {
		m.h.host.ConnManager().Unprotect(s.peer, protectTag)
	}
}

// rejected ends a stream whose handshake failed.
func (m *sessions) rejected(stream network.Stream, p peer.ID, err error) {
	var v *violation
	if errors.As(err, &v) {
		m.violated(p, v)
	}
	_ = stream.Reset()
}

func (m *sessions) violated(p peer.ID, v *violation) {
	m.h.metrics.violations.WithLabelValues(v.rule).Inc()
	m.h.log.Warn().Stringer("peer", p).Err(v).Msg("peer broke the session protocol")
	m.h.offended(p, Violation, 1)
}

// dropPeer ends every session with p.
func (m *sessions) dropPeer(p peer.ID) {
	m.endAll(func(s *Session) bool { return s.peer == p }, errors.New("the peer is banned"))
}

func (m *sessions) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.endAll(func(*Session) bool { return true }, errors.New("the host closed"))
}

func (m *sessions) endAll(which func(*Session) bool, why error) {
	m.mu.Lock()
	var list []*Session
	for s := range m.all {
		if which(s) {
			list = append(list, s)
		}
	}
	m.mu.Unlock()
	for _, s := range list {
		s.end(why)
	}
}
