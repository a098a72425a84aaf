package sim

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/p2p"
)

// conn is a connection of two nodes.
type conn struct {
	a, b   *port
	ab, ba *half
}

// tear breaks it at once on both sides.
func (c *conn) tear() {
	c.ab.tear()
	c.ba.tear()
	c.a.net.forget(c)
}

// stream is one end of a connection of bytes.
type stream struct {
	c       *conn
	in, out *half
	rest    []byte
}

var _ p2p.Stream = (*stream)(nil)

// streams returns both ends.
func (c *conn) streams() (atA, atB *stream) {
	return &stream{c: c, in: c.ba, out: c.ab}, &stream{c: c, in: c.ab, out: c.ba}
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		var err error
		if s.rest, err = s.in.take(nil); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Write implements io.Writer.
func (s *stream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.out.put(slices.Clone(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// CloseWrite implements p2p.Stream.
func (s *stream) CloseWrite() error {
	s.out.end()
	return nil
}

// Close implements io.Closer: the other side reads what was written.
func (s *stream) Close() error {
	s.out.end()
	s.in.tear()
	return nil
}

// Reset implements p2p.Stream.
func (s *stream) Reset() error {
	_ = s.Close()
	s.c.a.net.forget(s.c)
	return nil
}

// SetDeadline implements p2p.Deadlines; writing never blocks.
func (s *stream) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// SetReadDeadline implements p2p.Deadlines.
func (s *stream) SetReadDeadline(t time.Time) error {
	s.in.setDeadline(t)
	return nil
}

// SetWriteDeadline implements p2p.Deadlines.
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

// session is one end of a connection of frames.
type session struct {
	c       *conn
	peer    core.NodeID
	in, out *half
}

var _ dispatch.Transport = (*session)(nil)

func (c *conn) sessions() (atA, atB *session) {
	return &session{c, c.b.id, c.ba, c.ab}, &session{c, c.a.id, c.ab, c.ba}
}

// Peer implements dispatch.Transport.
func (s *session) Peer() core.NodeID { return s.peer }

// Send implements dispatch.Transport.
func (s *session) Send(_ context.Context, frame []byte) error { return s.out.put(slices.Clone(frame)) }

// Recv implements dispatch.Transport.
func (s *session) Recv(ctx context.Context) ([]byte, error) {
	data, err := s.in.take(ctx.Done())
	if err != nil && err != io.EOF && ctx.Err() != nil {
		err = ctx.Err()
	}
	return data, err
}

// Close implements dispatch.Transport.
func (s *session) Close() error {
	s.out.end()
	s.in.tear()
	return nil
}
