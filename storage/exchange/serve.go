package exchange

import (
	"context"
	"encoding/binary"
	"io"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/storage"
)

const (
	// serveTimeout bounds one answer.
	serveTimeout = time.Minute
	// maxAnnounced is how many objects the DHT is told of: those used last. Others are
	// found by whoever is connected.
	maxAnnounced = 128
	// announceEvery is how soon what expired is announced no more.
	announceEvery = time.Minute
	// provideTimeout bounds the first announcement of an object; the host repeats it.
	provideTimeout = 5 * time.Second
)

// ServeStream answers one request; it is the handler of Protocol.
func (s *Store) ServeStream(ctx context.Context, to core.NodeID, stream p2p.Stream) {
	defer stream.Close()
	if !s.sending.take(to) {
		return
	}
	defer s.sending.giveBack(to)
	_ = stream.SetDeadline(time.Now().Add(serveTimeout))
	var id core.ObjectID
	if _, err := io.ReadFull(stream, id[:]); err != nil {
		return
	}
	patience := time.NewTimer(answerTimeout)
	defer patience.Stop()
	select {
	case s.serving <- struct{}{}:
		defer func() { <-s.serving }()
	case <-patience.C:
		return
	case <-ctx.Done():
		return
	}
	_, data, err := s.deps.Local.Get(ctx, id)
	if err != nil {
		return
	}
	head := append([]byte{found}, binary.BigEndian.AppendUint64(nil, uint64(len(data)))...)
	if _, err := stream.Write(head); err == nil {
		_, _ = stream.Write(data) // the other side has its own bounds
	}
}

// places counts what each node is sent: one that does not read must not keep the others
// from being served.
type places struct {
	mu    sync.Mutex
	taken map[core.NodeID]int
}

func (p *places) take(to core.NodeID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken[to] == maxToOne {
		return false
	}
	p.taken[to]++
	return true
}

func (p *places) giveBack(to core.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken[to]--; p.taken[to] == 0 {
		delete(p.taken, to)
	}
}

// Serve tells the DHT of the objects that were used last at this node, until ctx ends.
func (s *Store) Serve(ctx context.Context) error {
	announced := map[core.ObjectID]bool{}
	defer func() {
		for id := range announced {
			s.deps.Network.Unprovide(key(id))
		}
	}()
	for {
		if err := s.announce(ctx, announced); err != nil {
			return err
		}
		timer := time.NewTimer(announceEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		case <-s.changed:
			timer.Stop()
		}
	}
}

// newest returns the objects used last of those put at this node.
func (s *Store) newest(ctx context.Context) (map[core.ObjectID]bool, error) {
	own := map[core.ObjectID]bool{}
	for after := ""; ; {
		page, err := s.deps.Local.List(ctx, after, storage.MaxPage)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Objects {
			if !o.Copy && len(own) < maxAnnounced {
				own[o.ID] = true
			}
		}
		if after = page.Next; after == "" || len(own) == maxAnnounced {
			return own, nil
		}
	}
}

// announce makes announced those objects that should be.
func (s *Store) announce(ctx context.Context, announced map[core.ObjectID]bool) error {
	now, err := s.newest(ctx)
	if err != nil {
		return err
	}
	for id := range announced {
		if !now[id] {
			s.deps.Network.Unprovide(key(id))
			delete(announced, id)
		}
	}
	for id := range now {
		if announced[id] || ctx.Err() != nil {
			continue
		}
		announced[id] = true
		s.provide(ctx, id)
	}
	return nil
}

func (s *Store) provide(ctx context.Context, id core.ObjectID) {
	ctx, cancel := context.WithTimeout(ctx, provideTimeout)
	defer cancel()
	if err := s.deps.Network.Provide(ctx, key(id)); err != nil {
		s.log.Debug().Err(err).Str("object", id.String()).Msg("not announced yet")
	}
}
