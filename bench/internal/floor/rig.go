package floor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/tenzro/tenzro/bench/internal/work"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/keys"
)

const proto protocol.ID = "/floor/1"

// maxInFlight bounds the frames that wait for the stream.
const maxInFlight = 1024

// Rig is two hosts with one stream between them.
type Rig struct {
	data   json.RawMessage
	want   string
	worker *worker
	hosts  []host.Host
	out    chan []byte
	ended  sync.WaitGroup
	next   atomic.Uint64

	mu      sync.Mutex
	waiting map[uint64]chan response
	failure error // why the stream ended
}

// Start connects the hosts and opens the stream. Jobs carry data and must give
// want.
func Start(ctx context.Context, data json.RawMessage, want string) (*Rig, error) {
	r := &Rig{data: data, want: want, out: make(chan []byte, maxInFlight), waiting: map[uint64]chan response{}}
	for range 2 {
		identity, err := keys.Generate()
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		h, err := newHost(identity)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.hosts = append(r.hosts, h)
		r.worker = &worker{work.New(identity)} // the second one works
	}
	if err := r.connect(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// newHost listens on loopback TCP with TLS and yamux, as nodes do.
func newHost(identity *keys.Identity) (host.Host, error) {
	key, err := crypto.UnmarshalEd25519PrivateKey(identity.PrivateKey())
	if err != nil {
		return nil, err
	}
	return libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(tls.ID, tls.New), libp2p.DefaultMuxers, libp2p.DisableRelay(), libp2p.DisableMetrics())
}

func (r *Rig) connect(ctx context.Context) error {
	submitter, executor := r.hosts[0], r.hosts[1]
	executor.SetStreamHandler(proto, func(s network.Stream) { r.worker.serve(s) })
	if err := submitter.Connect(ctx, peer.AddrInfo{ID: executor.ID(), Addrs: executor.Addrs()}); err != nil {
		return err
	}
	s, err := submitter.NewStream(ctx, executor.ID(), proto)
	if err != nil {
		return err
	}
	r.ended.Go(func() {
		if err := pump(s, r.out); err != nil {
			r.broke(err)
		}
		_ = s.CloseWrite()
		for range r.out { // nobody may block on a broken stream
		}
	})
	r.ended.Go(func() { r.broke(r.read(s)) })
	return nil
}

// Close ends the stream and the hosts. No job may be under way.
func (r *Rig) Close() error {
	close(r.out)
	var errs []error
	for _, h := range r.hosts {
		errs = append(errs, h.Close())
	}
	r.ended.Wait()
	return errors.Join(errs...)
}

// Job sends one job, waits for its result and verifies it.
func (r *Rig) Job(ctx context.Context) error {
	id, answer := r.next.Add(1), make(chan response, 1)
	text, err := frame(request{ID: id, Type: vector.Type, Data: r.data})
	if err != nil {
		return err
	}
	if err := r.expect(id, answer); err != nil {
		return err
	}
	r.out <- text
	select {
	case a, ok := <-answer:
		if !ok {
			return fmt.Errorf("the stream ended: %w", r.cause())
		}
		return r.worker.Verify(r.data, a.Result, r.want)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Rig) expect(id uint64, answer chan response) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		return r.failure
	}
	r.waiting[id] = answer
	return nil
}

func (r *Rig) read(s network.Stream) error {
	in := bufio.NewReaderSize(s, 16<<10)
	for {
		text, err := readFrame(in)
		if err != nil {
			return err
		}
		var a response
		if err := json.Unmarshal(text, &a); err != nil {
			return err
		}
		r.mu.Lock()
		answer := r.waiting[a.ID]
		delete(r.waiting, a.ID)
		r.mu.Unlock()
		if answer != nil {
			answer <- a
		}
	}
}

// broke ends every job that waits.
func (r *Rig) broke(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure == nil {
		r.failure = err
	}
	for id, answer := range r.waiting {
		close(answer)
		delete(r.waiting, id)
	}
}

func (r *Rig) cause() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure
}
