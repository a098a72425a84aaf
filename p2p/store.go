package p2p

import (
	"context"

	lru "github.com/hashicorp/golang-lru/v2"
	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

// store keeps the DHT records others put on this node, in memory and bounded:
// beyond its size the least recently used record goes. libp2p's own default
// grows with whatever peers send.
type store struct {
	entries *lru.Cache[ds.Key, []byte]
}

var _ ds.Batching = (*store)(nil)

func newStore(size int) (*store, error) {
	entries, err := lru.New[ds.Key, []byte](size)
	return &store{entries: entries}, err
}

// Get implements ds.Read.
func (s *store) Get(_ context.Context, key ds.Key) ([]byte, error) {
	v, ok := s.entries.Get(key)
	if !ok {
		return nil, ds.ErrNotFound
	}
	return v, nil
}

// Has implements ds.Read.
func (s *store) Has(_ context.Context, key ds.Key) (bool, error) { return s.entries.Contains(key), nil }

// GetSize implements ds.Read.
func (s *store) GetSize(_ context.Context, key ds.Key) (int, error) {
	v, ok := s.entries.Peek(key)
	if !ok {
		return -1, ds.ErrNotFound
	}
	return len(v), nil
}

// Query implements ds.Read.
func (s *store) Query(_ context.Context, q query.Query) (query.Results, error) {
	var all []query.Entry
	for _, key := range s.entries.Keys() {
		if v, ok := s.entries.Peek(key); ok {
			e := query.Entry{Key: key.String(), Size: len(v)}
			if !q.KeysOnly {
				e.Value = v
			}
			all = append(all, e)
		}
	}
	return query.NaiveQueryApply(q, query.ResultsWithEntries(q, all)), nil
}

// Put implements ds.Write.
func (s *store) Put(_ context.Context, key ds.Key, value []byte) error {
	s.entries.Add(key, value)
	return nil
}

// Delete implements ds.Write.
func (s *store) Delete(_ context.Context, key ds.Key) error {
	s.entries.Remove(key)
	return nil
}

// Sync implements ds.Datastore; there is no disk.
func (s *store) Sync(context.Context, ds.Key) error { return nil }

// Batch implements ds.Batching.
func (s *store) Batch(context.Context) (ds.Batch, error) { return ds.NewBasicBatch(s), nil }

// Close implements io.Closer.
func (s *store) Close() error { return nil }
