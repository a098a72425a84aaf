package p2p

import (
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"

	"github.com/tenzro/tenzro/core"
)

// watch turns libp2p's events into "a peer of our network came or went".
type watch struct {
	h     *Host
	known map[peer.ID]bool // those announced as connected; touched by serve only

	mu      sync.Mutex
	next    int
	subs    map[int]func(core.NodeID, bool)
	records map[peer.ID][]byte // signed peer records of the connected, to be saved
}

func newWatch(h *Host) *watch {
	return &watch{h: h, known: map[peer.ID]bool{}, subs: map[int]func(core.NodeID, bool){}, records: map[peer.ID][]byte{}}
}

func (w *watch) subscribe(fn func(core.NodeID, bool)) (cancel func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	key := w.next
	w.subs[key] = fn
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subs, key)
	}
}

func (w *watch) serve(ctx context.Context) error {
	sub, err := w.h.host.EventBus().Subscribe(
		[]any{new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerConnectednessChanged)},
		eventbus.BufSize(256), eventbus.Name("tenzro/peers"))
	if err != nil {
		return core.Errorf(core.Internal, "p2p", "watching peers: %w", err)
	}
	defer sub.Close()
	w.catchUp()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-sub.Out():
			if !ok {
				return ctx.Err()
			}
			w.handle(e)
		}
	}
}

// catchUp notices what happened while nobody served.
func (w *watch) catchUp() {
	for _, p := range w.h.host.Network().Peers() {
		w.update(p)
	}
	for p := range w.known {
		w.update(p)
	}
}

func (w *watch) handle(e any) {
	switch e := e.(type) {
	case event.EvtPeerIdentificationCompleted:
		w.keepRecord(e)
		w.update(e.Peer)
	case event.EvtPeerConnectednessChanged:
		if e.Connectedness == network.NotConnected && w.known[e.Peer] {
			w.announce(e.Peer, false) // even if it is back by now
		}
		w.update(e.Peer)
	}
}

// keepRecord remembers the record a peer of ours identified itself with.
func (w *watch) keepRecord(e event.EvtPeerIdentificationCompleted) {
	if e.SignedPeerRecord == nil || !w.h.ours(e.Peer) {
		return
	}
	signed, err := e.SignedPeerRecord.Marshal()
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records[e.Peer] = signed
}

func (w *watch) forgetRecord(p peer.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.records, p)
}

func (w *watch) recordOf(p peer.ID) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records[p]
}

func (w *watch) update(p peer.ID) {
	if ours := w.h.ours(p); ours != w.known[p] {
		w.announce(p, ours)
	}
}

func (w *watch) announce(p peer.ID, ours bool) {
	if ours {
		w.known[p] = true
		w.h.metrics.peers.Inc()
	} else {
		delete(w.known, p)
		w.forgetRecord(p)
		w.h.metrics.peers.Dec()
	}
	id := nodeID(p)
	w.h.log.Debug().Stringer("peer", p).Bool("connected", ours).Msg("peer changed")
	for _, fn := range w.list() {
		fn(id, ours)
	}
}

func (w *watch) list() []func(core.NodeID, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]func(core.NodeID, bool), 0, len(w.subs))
	for i := 1; i <= w.next; i++ {
		if fn, ok := w.subs[i]; ok {
			out = append(out, fn)
		}
	}
	return out
}
