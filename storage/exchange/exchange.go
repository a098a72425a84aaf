package exchange

import (
	"context"
	"errors"
	"io"

	"github.com/rs/zerolog"
	"golang.org/x/sync/singleflight"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/storage"
)

const (
	// maxFetches is how many objects are fetched at once: each may be in memory.
	maxFetches = 8
	// maxTurns is how many holders send the same object at once: one that is slow must
	// not be what all others wait for.
	maxTurns = 2
	// maxToOne is how many objects are sent to one node at once.
	maxToOne = 2
	// maxServed is how many objects are sent at once.
	maxServed = 16
)

// Local is what this node has itself; *disk.Store implements it.
type Local interface {
	storage.Store
	// Keep keeps a copy of another node's object.
	Keep(ctx context.Context, id core.ObjectID, data []byte) error
}

// Network is how other nodes are found and asked.
type Network interface {
	OpenStream(ctx context.Context, id core.NodeID, protocol string) (p2p.Stream, error)
	// Near returns nodes that may have objects, the likeliest first.
	Near() []core.NodeID
	FindProviders(ctx context.Context, key string, limit int) ([]core.NodeID, error)
	Provide(ctx context.Context, key string) error
	Unprovide(key string)
}

// Deps is what a Store works with.
type Deps struct {
	Local     Local
	Network   Network
	NetworkID core.NetworkID
	// Blame hears of a node that sent what is not the object it was asked for; it must
	// not block. nil = nobody does.
	Blame func(peer core.NodeID, o p2p.Offence, n int)
}

// Store is a storage.Store that also has the objects of other nodes.
type Store struct {
	deps     Deps
	protocol string
	log      zerolog.Logger
	fetching singleflight.Group
	fetches  chan struct{} // a place for each fetch
	serving  chan struct{} // a place for each answer
	sending  places        // of each node
	changed  chan struct{} // something was put or removed
}

var _ storage.Store = (*Store)(nil)

// New returns a store that asks nobody until an object is missing.
func New(deps Deps, log zerolog.Logger) *Store {
	return &Store{deps: deps, protocol: Protocol(deps.NetworkID), log: log, fetches: make(chan struct{}, maxFetches),
		serving: make(chan struct{}, maxServed), sending: places{taken: map[core.NodeID]int{}}, changed: make(chan struct{}, 1)}
}

// Protocol is the id of the object protocol in a network.
func Protocol(network core.NetworkID) string { return p2p.ProtocolID(network, "object", "1.0.0") }

// Put implements storage.Store: an object is put at this node and nowhere else.
func (s *Store) Put(ctx context.Context, r io.Reader) (storage.Info, bool, error) {
	info, created, err := s.deps.Local.Put(ctx, r)
	if err == nil {
		s.change()
	}
	return info, created, err
}

// Get implements storage.Store. What is not here, or is damaged here, is fetched from
// another node and kept.
func (s *Store) Get(ctx context.Context, id core.ObjectID) (storage.Info, []byte, error) {
	info, data, err := s.deps.Local.Get(ctx, id)
	if err == nil || !errors.Is(err, core.NotFound) && !errors.Is(err, core.Corrupt) {
		return info, data, err
	}
	if data, fetchErr := s.fetch(ctx, id); fetchErr == nil {
		return storage.Info{ID: id, Size: int64(len(data)), Copy: true}, data, nil
	} else if !errors.Is(fetchErr, core.NotFound) || errors.Is(err, core.NotFound) {
		err = fetchErr
	}
	return storage.Info{}, nil, err
}

// Delete implements storage.Store: the copies of other nodes stay.
func (s *Store) Delete(ctx context.Context, id core.ObjectID) error {
	err := s.deps.Local.Delete(ctx, id)
	if err == nil {
		s.change()
	}
	return err
}

// List implements storage.Store: of this node's objects.
func (s *Store) List(ctx context.Context, after string, limit int) (storage.Page, error) {
	return s.deps.Local.List(ctx, after, limit)
}

func (s *Store) change() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
