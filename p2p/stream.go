package p2p

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multistream"

	"github.com/tenzro/tenzro/core"
)

// Stream is a raw duplex byte stream to one authenticated peer. Close ends both
// directions; CloseWrite only ours, so that a request can end and an answer
// follow; Reset tells the peer that something went wrong.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error
	Reset() error
	Deadlines
}

// Deadlines bounds how long reads and writes of a Stream may block.
type Deadlines interface {
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

var _ Stream = network.Stream(nil)

// dialTimeout bounds one attempt to reach a peer when the caller's context has
// no deadline of its own.
const dialTimeout = 15 * time.Second

// ProtocolID returns the name of a protocol in a network:
// "/tenzro/<net>/<name>/<version>", for example "/tenzro/testnet/job/1.0.0".
func ProtocolID(net core.NetworkID, name, version string) string {
	return string(prefix(net)) + "/" + name + "/" + version
}

func prefix(net core.NetworkID) protocol.ID { return protocol.ID("/tenzro/" + string(net)) }

// networkVersion is what identify says of the network a peer belongs to.
func networkVersion(net core.NetworkID) string { return "tenzro/" + string(net) + "/1" }

func nodeID(p peer.ID) core.NodeID { return core.NodeID(p.String()) }

func peerID(id core.NodeID) (peer.ID, error) {
	p, err := peer.Decode(string(id))
	if err != nil {
		return "", core.Errorf(core.Invalid, "nodeId", "node id %.64q is not a peer id: %w", string(id), err)
	}
	return p, nil
}

// OpenStream opens a stream to a peer for a protocol named by ProtocolID, and
// connects first if needed. Streams never ride a relay. An unreachable peer is
// core.Unavailable. A peer without the protocol is core.Unsupported, unless it
// had the protocol before: then the first read fails.
func (h *Host) OpenStream(ctx context.Context, id core.NodeID, proto string) (Stream, error) {
	p, err := peerID(id)
	if err != nil {
		return nil, err
	}
	return h.openStream(ctx, p, proto)
}

func (h *Host) openStream(ctx context.Context, p peer.ID, proto string) (network.Stream, error) {
	if h.host.Network().Connectedness(p) != network.Connected {
		if err := h.connectPeer(ctx, p); err != nil {
			return nil, err
		}
	}
	ctx, cancel := withTimeout(ctx, dialTimeout)
	defer cancel()
	s, err := h.host.NewStream(ctx, p, protocol.ID(proto))
	if err != nil {
		return nil, streamError(p, proto, err)
	}
	return s, nil
}

func streamError(p peer.ID, proto string, err error) error {
	kind := core.Unavailable
	var unsupported multistream.ErrNotSupported[protocol.ID]
	switch {
	case errors.As(err, &unsupported):
		kind = core.Unsupported
	case errors.Is(err, network.ErrResourceLimitExceeded):
		kind = core.Exhausted
	case errors.Is(err, context.DeadlineExceeded):
		kind = core.Timeout
	}
	return core.Errorf(kind, "open stream", "opening %s to %s: %w", proto, p, err)
}

// HandleStream serves a protocol named by ProtocolID. fn runs in its own
// goroutine per stream, and the stream is closed when it returns. ctx ends when
// the host closes, which also resets the stream; fn must return then. It replaces
// an earlier handler of the same protocol.
func (h *Host) HandleStream(proto string, fn func(ctx context.Context, from core.NodeID, s Stream)) {
	h.host.SetStreamHandler(protocol.ID(proto), func(s network.Stream) {
		h.serveStream(s, func() { fn(h.ctx, nodeID(s.Conn().RemotePeer()), s) })
	})
}

// RemoveHandler stops serving a protocol; streams and sessions in use go on.
func (h *Host) RemoveHandler(proto string) { h.host.RemoveStreamHandler(protocol.ID(proto)) }

// serveStream counts a handler in, so that Close waits for it.
func (h *Host) serveStream(s network.Stream, fn func()) {
	if !h.enter() {
		_ = s.Reset()
		return
	}
	defer h.handlers.Done()
	defer s.Close() // without effect on a stream that was closed or reset
	fn()
}

func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// forgetBackoff lets the next dial happen now: callers space their own attempts.
func (h *Host) forgetBackoff(p peer.ID) {
	if s, ok := h.host.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(p)
	}
}
