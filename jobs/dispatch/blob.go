package dispatch

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/wire"
)

const (
	// maxBlobBytes bounds what a node serves at once: payloads of open work.
	maxBlobBytes = 512 << 20
	// blobTimeout bounds one transfer.
	blobTimeout = 2 * time.Minute
	// firstRead is what is allocated before anything has arrived.
	firstRead = 256 << 10
	// blobFound starts a good answer: this byte, then the payload.
	blobFound = 1
)

// Streams is what Blobs needs of the network.
type Streams interface {
	OpenStream(ctx context.Context, id core.NodeID, protocol string) (p2p.Stream, error)
}

// Blobs moves payloads that are too big for a message: the sender keeps them
// under their digest while the work is open, the receiver fetches them on the
// blob protocol and checks the digest. Knowing a digest is the permission to
// read: digests travel only on authenticated links to those who need them.
//
// A request is the 32-byte digest and an 8-byte big-endian offset; the answer is
// the byte 1 and the payload from there, or an empty stream.
type Blobs struct {
	streams  Streams
	protocol string

	mu    sync.Mutex
	blobs map[core.Digest]*blob
	bytes int64
}

type blob struct {
	data []byte
	refs int
}

// NewBlobs returns an empty store for one network.
func NewBlobs(streams Streams, network core.NetworkID) *Blobs {
	return &Blobs{streams: streams, protocol: BlobProtocol(network), blobs: map[core.Digest]*blob{}}
}

// BlobProtocol is the id of the blob protocol in a network.
func BlobProtocol(network core.NetworkID) string { return p2p.ProtocolID(network, "blob", "1.0.0") }

// Pack makes a payload of data. A big one stays readable for the peer until
// release is called; release is never nil and may be called more than once. More
// than core.MaxTaskBytes is core.Invalid.
func (b *Blobs) Pack(data json.RawMessage, digest core.Digest) (p wire.Payload, release func(), err error) {
	return b.pack(data, digest, wire.MaxInline)
}

// pack is Pack with another bound for what rides in the message.
func (b *Blobs) pack(data json.RawMessage, digest core.Digest, inline int) (p wire.Payload, release func(), err error) {
	if len(data) <= inline {
		return wire.Payload{Inline: data}, func() {}, nil
	}
	if len(data) > core.MaxTaskBytes {
		return wire.Payload{}, func() {}, core.Errorf(core.Invalid, "data", "the payload has %d bytes; at most %d", len(data), core.MaxTaskBytes)
	}
	if err := b.hold(digest, data); err != nil {
		return wire.Payload{}, func() {}, err
	}
	var once sync.Once
	return wire.Payload{Blob: &wire.BlobRef{Digest: digest, Size: int64(len(data))}},
		func() { once.Do(func() { b.drop(digest) }) }, nil
}

func (b *Blobs) hold(d core.Digest, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if have := b.blobs[d]; have != nil {
		have.refs++
		return nil
	}
	if b.bytes+int64(len(data)) > maxBlobBytes {
		return core.Errorf(core.Exhausted, "blob", "%d MiB of payloads are in flight already", b.bytes>>20)
	}
	b.bytes += int64(len(data))
	b.blobs[d] = &blob{data: data, refs: 1}
	return nil
}

func (b *Blobs) drop(d core.Digest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if have := b.blobs[d]; have != nil {
		if have.refs--; have.refs == 0 {
			b.bytes -= int64(len(have.data))
			delete(b.blobs, d)
		}
	}
}

func (b *Blobs) get(d core.Digest) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if have := b.blobs[d]; have != nil {
		return have.data
	}
	return nil
}

// Unpack returns the bytes of a payload that node from sent, fetching a big one.
// core.Corrupt means that the bytes are not those of the digest.
func (b *Blobs) Unpack(ctx context.Context, from core.NodeID, p wire.Payload) ([]byte, error) {
	if p.Blob == nil {
		return p.Inline, nil
	}
	if data := b.get(p.Blob.Digest); data != nil {
		return data, nil
	}
	return b.fetch(ctx, from, *p.Blob)
}

func (b *Blobs) fetch(ctx context.Context, from core.NodeID, ref wire.BlobRef) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	s, err := b.streams.OpenStream(ctx, from, b.protocol)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	data, err := request(s, ref)
	if err != nil {
		return nil, core.Errorf(core.Unavailable, "blob", "fetching %d bytes from node %s: %w", ref.Size, from.Short(), err)
	}
	if core.Sum(data) != ref.Digest {
		return nil, core.Errorf(core.Corrupt, "blob", "node %s sent bytes that do not match their digest", from.Short())
	}
	return data, nil
}

func request(s p2p.Stream, ref wire.BlobRef) ([]byte, error) {
	ask := make([]byte, len(ref.Digest)+8)
	copy(ask, ref.Digest[:])
	if _, err := s.Write(ask); err != nil {
		return nil, err
	}
	var found [1]byte
	if _, err := io.ReadFull(s, found[:]); err != nil {
		return nil, err
	}
	if found[0] != blobFound {
		return nil, core.Errorf(core.Corrupt, "blob", "the answer starts with %d", found[0])
	}
	// Memory follows what has arrived, not what was announced.
	var data bytes.Buffer
	data.Grow(int(min(ref.Size, firstRead)))
	if _, err := io.CopyN(&data, s, ref.Size); err != nil {
		return nil, err
	}
	return data.Bytes(), nil
}

// ServeStream answers one request; it is the handler of BlobProtocol.
func (b *Blobs) ServeStream(_ context.Context, _ core.NodeID, s p2p.Stream) {
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(blobTimeout))
	var ask [len(core.Digest{}) + 8]byte
	if _, err := io.ReadFull(s, ask[:]); err != nil {
		return
	}
	data := b.get(core.Digest(ask[:len(core.Digest{})]))
	offset := binary.BigEndian.Uint64(ask[len(core.Digest{}):])
	if offset >= uint64(len(data)) { // unknown digest, or nothing left
		return
	}
	if _, err := s.Write([]byte{blobFound}); err == nil {
		_, _ = s.Write(data[offset:])
	}
}
