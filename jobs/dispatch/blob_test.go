package dispatch

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/wire"
)

// fakeNet opens p2p.Streams between nodes of one process: synchronous pipes with
// deadlines, as the real ones have.
type fakeNet struct {
	mu    sync.Mutex
	nodes map[core.NodeID]*Blobs
	serve map[core.NodeID]func(p2p.Stream) // instead of Blobs
}

// node returns the blobs of a node, made on first use.
func (n *fakeNet) node(id core.NodeID) *Blobs {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nodes == nil {
		n.nodes, n.serve = map[core.NodeID]*Blobs{}, map[core.NodeID]func(p2p.Stream){}
	}
	if n.nodes[id] == nil {
		n.nodes[id] = NewBlobs(&fakeStreams{n, id}, "testnet")
	}
	return n.nodes[id]
}

// fakeStreams is one node's view of the net.
type fakeStreams struct {
	net  *fakeNet
	from core.NodeID
}

func (s *fakeStreams) OpenStream(_ context.Context, id core.NodeID, protocol string) (p2p.Stream, error) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	b, serve := s.net.nodes[id], s.net.serve[id]
	if b == nil || protocol != BlobProtocol("testnet") {
		return nil, core.Errorf(core.Unavailable, "open stream", "node %s is not reachable", id)
	}
	here, there := net.Pipe()
	if serve == nil {
		serve = func(st p2p.Stream) { b.ServeStream(context.Background(), s.from, st) }
	}
	go serve(fakeStream{there})
	return fakeStream{here}, nil
}

type fakeStream struct{ net.Conn }

func (s fakeStream) CloseWrite() error { return nil }
func (s fakeStream) Reset() error      { return s.Close() }

func big(n int) []byte { return append(append([]byte{'"'}, bytes.Repeat([]byte("x"), n-2)...), '"') }

// TestBlobs moves payloads of every size: small ones ride inline, bigger ones
// come over a stream until they are released, once by each holder.
func TestBlobs(t *testing.T) {
	for name, size := range map[string]int{"one byte": 1, "largest inline": wire.MaxInline, "smallest blob": wire.MaxInline + 1, "largest": core.MaxTaskBytes} {
		t.Run(name, func(t *testing.T) {
			n := &fakeNet{}
			a, b := n.node("a"), n.node("b")
			data := bytes.Repeat([]byte("7"), size)
			digest := core.Sum(data)
			p, release, err := a.Pack(data, digest)
			if err != nil || (p.Blob != nil) != (size > wire.MaxInline) || (p.Blob != nil) == (p.Inline != nil) {
				t.Fatalf("packed as %d inline bytes and %+v, %v", len(p.Inline), p.Blob, err)
			}
			_, second, err := a.Pack(data, digest)
			if err != nil {
				t.Fatal(err)
			}
			release()
			release() // twice is once
			for name, by := range map[string]*Blobs{"the peer": b, "itself": a} {
				if got, err := by.Unpack(context.Background(), "a", p); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%s unpacks %d bytes, %v", name, len(got), err)
				}
			}
			second()
			if len(a.blobs) != 0 || a.bytes != 0 {
				t.Errorf("%d blobs of %d bytes are still held", len(a.blobs), a.bytes)
			}
			if _, err := b.Unpack(context.Background(), "a", p); p.Blob != nil && !errors.Is(err, core.Unavailable) {
				t.Errorf("after the release: %v", err)
			}
		})
	}
}

// TestBlobsBounds: too big a payload is refused, and so is one beyond what a node
// holds at once.
func TestBlobsBounds(t *testing.T) {
	b := (&fakeNet{}).node("a")
	if _, release, err := b.Pack(make([]byte, core.MaxTaskBytes+1), core.Digest{1}); !errors.Is(err, core.Invalid) || release == nil {
		t.Errorf("over the largest task: %v", err)
	}
	data := make([]byte, core.MaxTaskBytes)
	for i := range maxBlobBytes / core.MaxTaskBytes {
		if _, _, err := b.Pack(data, core.Digest{2, byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := b.Pack(data, core.Digest{3}); !errors.Is(err, core.Exhausted) {
		t.Errorf("over what is held at once: %v", err)
	}
	if _, _, err := b.Pack(data, core.Digest{2, 0}); err != nil {
		t.Errorf("another holder of the same bytes: %v", err)
	}
}

// TestBlobsHostileServer: whatever a server sends, the receiver gets the right
// bytes or an error that says who and what; only wrong bytes blame the server.
func TestBlobsHostileServer(t *testing.T) {
	data := big(40_000)
	ref := wire.BlobRef{Digest: core.Sum(data), Size: int64(len(data))}
	write := func(parts ...[]byte) func(p2p.Stream) {
		return func(s p2p.Stream) {
			defer s.Close()
			_, _ = io.ReadFull(s, make([]byte, 40))
			for _, p := range parts {
				_, _ = s.Write(p)
			}
		}
	}
	for name, c := range map[string]struct {
		serve func(p2p.Stream)
		want  core.Kind
		text  string
	}{
		"wrong bytes":       {write([]byte{blobFound}, bytes.Repeat([]byte("y"), len(data))), core.Corrupt, "do not match their digest"},
		"one byte is wrong": {write([]byte{blobFound}, data[1:], []byte("!")), core.Corrupt, "do not match their digest"},
		"too few":           {write([]byte{blobFound}, data[:100]), core.Unavailable, "fetching 40000 bytes"},
		"nothing":           {write(), core.Unavailable, "fetching 40000 bytes"},
		"hangs up at once":  {func(s p2p.Stream) { s.Close() }, core.Unavailable, "fetching 40000 bytes"},
		"another answer":    {write([]byte{7}, data), core.Unavailable, "the answer starts with 7"},
		"more than asked":   {write([]byte{blobFound}, data, data), 0, ""},
		"never answers": {func(s p2p.Stream) {
			defer s.Close()
			_, _ = io.Copy(io.Discard, s)
		}, core.Unavailable, "fetching 40000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &fakeNet{}
				b := n.node("b")
				n.node("a")
				n.serve["a"] = c.serve
				start := time.Now()
				got, err := b.Unpack(context.Background(), "a", wire.Payload{Blob: &ref})
				if took := time.Since(start); took > blobTimeout {
					t.Errorf("it took %s", took)
				}
				if c.text == "" {
					if err != nil || !bytes.Equal(got, data) {
						t.Fatalf("got %d bytes, %v", len(got), err)
					}
					return
				}
				if core.KindOf(err) != c.want || !strings.Contains(err.Error(), c.text) {
					t.Fatalf("got %d bytes and %v", len(got), err)
				}
			})
		})
	}
}

// TestBlobsAnnouncedSizeCostsNothing: a peer that announces the largest payload
// and sends none makes the receiver allocate little.
func TestBlobsAnnouncedSizeCostsNothing(t *testing.T) {
	n := &fakeNet{}
	b := n.node("b")
	n.node("a")
	n.serve["a"] = func(s p2p.Stream) {
		defer s.Close()
		_, _ = io.ReadFull(s, make([]byte, 40))
		_, _ = s.Write([]byte{blobFound})
	}
	ref := &wire.BlobRef{Digest: core.Digest{1}, Size: core.MaxTaskBytes}
	per := testing.Benchmark(func(tb *testing.B) {
		tb.ReportAllocs()
		for tb.Loop() {
			if _, err := b.Unpack(context.Background(), "a", wire.Payload{Blob: ref}); err == nil {
				tb.Fatal("there is nothing to get")
			}
		}
	}).AllocedBytesPerOp()
	if per > 1<<20 {
		t.Errorf("%d bytes are allocated before anything arrived", per)
	}
}

// TestBlobsCancelled: a fetch ends with its context.
func TestBlobsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{}
		n.node("a")
		n.serve["a"] = func(s p2p.Stream) {
			defer s.Close()
			_, _ = io.Copy(io.Discard, s)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := n.node("b").Unpack(ctx, "a", wire.Payload{Blob: &wire.BlobRef{Size: 5}})
		if took := time.Since(start); !errors.Is(err, core.Unavailable) || took != time.Second {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

// TestBlobsServe answers requests byte by byte: from an offset, and nothing for
// what is not held, for an offset behind the end, or for half a request.
func TestBlobsServe(t *testing.T) {
	data := big(40_000)
	digest := core.Sum(data)
	ask := func(d core.Digest, offset uint64) []byte { return binary.BigEndian.AppendUint64(d[:], offset) }
	for name, c := range map[string]struct {
		ask  []byte
		want []byte
	}{
		"all":            {ask(digest, 0), append([]byte{blobFound}, data...)},
		"the end":        {ask(digest, 39_990), append([]byte{blobFound}, data[39_990:]...)},
		"behind the end": {ask(digest, 40_000), nil},
		"far behind":     {ask(digest, 1<<63), nil},
		"unknown digest": {ask(core.Digest{9}, 0), nil},
		"half a request": {ask(digest, 0)[:20], nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &fakeNet{}
				b := n.node("a")
				if _, _, err := b.Pack(data, digest); err != nil {
					t.Fatal(err)
				}
				s, err := (&fakeStreams{n, "b"}).OpenStream(context.Background(), "a", BlobProtocol("testnet"))
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if _, err := s.Write(c.ask); err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(s) // the server's deadline ends half a request
				if !bytes.Equal(got, c.want) || err != nil {
					t.Errorf("got %d bytes, want %d, %v", len(got), len(c.want), err)
				}
			})
		})
	}
}
