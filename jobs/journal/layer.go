package journal

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
)

// Streams is what a group needs of the network: streams to authenticated nodes.
// p2p.Host is one.
type Streams interface {
	// OpenStream opens a stream to a node for a protocol.
	OpenStream(ctx context.Context, id core.NodeID, protocol string) (p2p.Stream, error)
	// HandleStream serves a protocol; a stream is closed when fn returns.
	HandleStream(protocol string, fn func(ctx context.Context, from core.NodeID, s p2p.Stream))
	// RemoveHandler stops serving it.
	RemoveHandler(protocol string)
}

var _ Streams = (*p2p.Host)(nil)

// RaftProtocol is the id of the protocol that the members of a region's group
// speak among themselves.
func RaftProtocol(network core.NetworkID, region core.RegionID) string {
	return p2p.ProtocolID(network, "raft/"+string(region), "1.0.0")
}

// maxRaftStreams bounds how many streams of others are served at once: each has
// a buffer of a few hundred KiB.
const maxRaftStreams = 64

// nodeAddr is a node id as a net.Addr.
type nodeAddr core.NodeID

// Network implements net.Addr.
func (nodeAddr) Network() string { return "libp2p" }

// String implements net.Addr.
func (a nodeAddr) String() string { return string(a) }

// streamConn is a stream as a net.Conn.
type streamConn struct {
	p2p.Stream
	local, remote core.NodeID
	closed        chan struct{}
	once          sync.Once
}

var _ net.Conn = (*streamConn)(nil)

func newStreamConn(s p2p.Stream, local, remote core.NodeID) *streamConn {
	return &streamConn{Stream: s, local: local, remote: remote, closed: make(chan struct{})}
}

// LocalAddr implements net.Conn.
func (c *streamConn) LocalAddr() net.Addr { return nodeAddr(c.local) }

// RemoteAddr implements net.Conn.
func (c *streamConn) RemoteAddr() net.Addr { return nodeAddr(c.remote) }

// Close implements net.Conn. It resets: nothing is on its way that anybody still
// waits for, and a reader on this side must wake up.
func (c *streamConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Stream.Reset()
}

// layer is raft's transport over streams. A node reaches itself by a pipe, which
// a group of one uses to lead at once.
type layer struct {
	self     core.NodeID
	protocol string
	streams  Streams                // nil: reaches nobody but itself
	allowed  func(core.NodeID) bool // who may speak to us
	accepted chan net.Conn
	done     chan struct{}
	once     sync.Once

	mu    sync.Mutex
	conns map[net.Conn]struct{} // of others, to be closed with the layer
}

var _ raft.StreamLayer = (*layer)(nil)

func newLayer(self core.NodeID, protocol string, streams Streams, allowed func(core.NodeID) bool) *layer {
	return &layer{self: self, protocol: protocol, streams: streams, allowed: allowed,
		accepted: make(chan net.Conn), done: make(chan struct{}), conns: map[net.Conn]struct{}{}}
}

// serve hands a stream to raft and returns when raft is done with it, because
// the stream is closed then.
func (l *layer) serve(ctx context.Context, from core.NodeID, s p2p.Stream) {
	c := newStreamConn(s, l.self, from)
	defer c.Close()
	if !l.allowed(from) || !l.add(c) {
		return
	}
	defer l.remove(c)
	select {
	case l.accepted <- c:
	case <-l.done:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-c.closed:
	case <-l.done:
	case <-ctx.Done():
	}
}

func (l *layer) add(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= maxRaftStreams {
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *layer) remove(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// Accept implements net.Listener.
func (l *layer) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It ends the streams of others too.
func (l *layer) Close() error {
	l.once.Do(func() { close(l.done) })
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Close()
	}
	return nil
}

// Addr implements net.Listener.
func (l *layer) Addr() net.Addr { return nodeAddr(l.self) }

// Dial implements raft.StreamLayer.
func (l *layer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	id := core.NodeID(address)
	if id == l.self {
		return l.dialSelf(timeout)
	}
	if l.streams == nil {
		return nil, core.Errorf(core.Unavailable, "journal", "this journal has no network to reach node %s", id.Short())
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	s, err := l.streams.OpenStream(ctx, id, l.protocol)
	if err != nil {
		return nil, err
	}
	return newStreamConn(s, l.self, id), nil
}

func (l *layer) dialSelf(timeout time.Duration) (net.Conn, error) {
	near, far := net.Pipe()
	if !l.add(far) {
		return nil, net.ErrClosed
	}
	select {
	case l.accepted <- far:
		return near, nil
	case <-l.done:
	case <-time.After(timeout):
	}
	l.remove(far)
	return nil, net.ErrClosed
}
