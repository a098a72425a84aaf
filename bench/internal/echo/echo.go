// Package echo compares one request and its answer over a p2p.Session, which
// numbers, acknowledges and resumes, with the same over the raw libp2p stream
// beneath it. Both go between the same two hosts of this process.
package echo

import (
	"context"
	"errors"
	"io"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/p2p"
)

// frameSize is about that of a tiny job's offer.
const frameSize = 512

const testNet = core.NetworkID("bench")

// Rig is two hosts with a session and a stream between them.
type Rig struct {
	hosts   []*p2p.Host
	session *p2p.Session
	stream  p2p.Stream
	frame   []byte
	buffer  []byte
}

// Start connects two hosts on loopback TCP.
func Start(ctx context.Context) (*Rig, error) {
	r := &Rig{frame: make([]byte, frameSize), buffer: make([]byte, frameSize)}
	for range 2 {
		identity, err := keys.Generate()
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		h, err := p2p.New(p2p.Config{Identity: identity, Network: testNet, Class: core.Regional, Standalone: true,
			Listen: []string{"/ip4/127.0.0.1/tcp/0"}, LANPort: p2p.Off, WSPort: p2p.Off}, nil, zerolog.Nop())
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.hosts = append(r.hosts, h)
	}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Rig) open(ctx context.Context) error {
	session, raw := p2p.ProtocolID(testNet, "echo", "1.0.0"), p2p.ProtocolID(testNet, "raw", "1.0.0")
	r.hosts[0].HandleSessions(session, echoSession)
	r.hosts[0].HandleStream(raw, echoStream)
	if err := r.hosts[1].Connect(ctx, r.hosts[0].Addrs()[0]); err != nil {
		return err
	}
	var err error
	if r.session, err = r.hosts[1].OpenSession(ctx, r.hosts[0].ID(), session); err != nil {
		return err
	}
	r.stream, err = r.hosts[1].OpenStream(ctx, r.hosts[0].ID(), raw)
	return err
}

func echoSession(s *p2p.Session) {
	for {
		frame, err := s.Recv(context.Background()) // ends with the session
		if err != nil || s.Send(context.Background(), frame) != nil {
			return
		}
	}
}

func echoStream(_ context.Context, _ core.NodeID, s p2p.Stream) {
	buffer := make([]byte, frameSize)
	for {
		if _, err := io.ReadFull(s, buffer); err != nil {
			return
		}
		if _, err := s.Write(buffer); err != nil {
			return
		}
	}
}

// Session is one request over the session.
func (r *Rig) Session(ctx context.Context) error {
	if err := r.session.Send(ctx, r.frame); err != nil {
		return err
	}
	_, err := r.session.Recv(ctx)
	return err
}

// Raw is one request over the stream; not for concurrent use.
func (r *Rig) Raw(context.Context) error {
	if _, err := r.stream.Write(r.frame); err != nil {
		return err
	}
	_, err := io.ReadFull(r.stream, r.buffer)
	return err
}

// Close ends everything.
func (r *Rig) Close() error {
	var errs []error
	if r.session != nil {
		errs = append(errs, r.session.Close())
	}
	for _, h := range r.hosts {
		errs = append(errs, h.Close())
	}
	return errors.Join(errs...)
}
