package exchange

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/storage"
)

const (
	// fetchTimeout bounds a fetch with everything: a submitter waits for it.
	fetchTimeout = 25 * time.Second
	// nearTimeout is how long the nodes that are connected may take; then come those
	// that the DHT names.
	nearTimeout = 15 * time.Second
	// answerTimeout is how long a node may take to say whether it has an object.
	answerTimeout = 5 * time.Second
	// maxNear and maxProviders bound how many nodes are asked for one object.
	maxNear      = 32
	maxProviders = 16
	// askAtOnce is how many of them are asked together.
	askAtOnce = 8
	// firstRead is what is allocated before anything has arrived.
	firstRead = 256 << 10
	// found begins a good answer.
	found = 1
	// headBytes is what stands before the object: found and the size.
	headBytes = 1 + 8
)

// fetch returns an object that another node has, once for all who want it now. It
// goes on when ctx ends: others may wait for it too.
func (s *Store) fetch(ctx context.Context, id core.ObjectID) ([]byte, error) {
	done := s.fetching.DoChan(id.String(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		select {
		case s.fetches <- struct{}{}:
			defer func() { <-s.fetches }()
		case <-ctx.Done():
			return nil, core.Errorf(core.Exhausted, "object", "this node fetches %d other objects already", maxFetches).WithHint("try again in a moment")
		}
		return s.search(ctx, id)
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.([]byte), nil
	case <-ctx.Done():
		return nil, core.Errorf(core.Timeout, "object", "object %s was not fetched in time: %w", id, ctx.Err()).
			WithHint("try again in a moment: what comes meanwhile is kept")
	}
}

// search asks the nodes that are near, then those that the DHT names.
func (s *Store) search(ctx context.Context, id core.ObjectID) ([]byte, error) {
	near := s.deps.Network.Near()
	near = near[:min(len(near), maxNear)]
	nearCtx, cancel := context.WithTimeout(ctx, nearTimeout)
	data := s.askAll(nearCtx, near, id)
	cancel()
	asked := len(near)
	if data == nil {
		far, err := s.deps.Network.FindProviders(ctx, key(id), maxProviders)
		if err != nil {
			s.log.Debug().Err(err).Msg("the DHT names nobody for an object")
		}
		far = slices.DeleteFunc(far, func(n core.NodeID) bool { return slices.Contains(near, n) })
		asked += len(far)
		data = s.askAll(ctx, far, id)
	}
	switch {
	case data == nil && asked == 0:
		return nil, storage.NotFound(id)
	case data == nil:
		return nil, core.Errorf(core.NotFound, "object", "object %s is neither on this node nor on any of the %d that were asked", id, asked).
			WithHint("upload it again: tenzro object put FILE")
	}
	if err := s.deps.Local.Keep(ctx, id, data); err != nil {
		s.log.Info().Err(err).Str("object", id.String()).Msg("a fetched object is used and not kept")
	}
	return data, nil
}

// key is what the DHT calls an object.
func key(id core.ObjectID) string { return "object/" + id.String() }

// askAll returns the object as the first node gives it, nil if none does. Many say
// that they have it, one at a time sends it.
func (s *Store) askAll(ctx context.Context, nodes []core.NodeID, id core.ObjectID) []byte {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	turn, got := make(chan struct{}, maxTurns), make(chan []byte, 1)
	var asking errgroup.Group
	asking.SetLimit(askAtOnce)
	for _, n := range nodes {
		asking.Go(func() error {
			data, err := s.ask(ctx, n, id, turn)
			if err != nil {
				s.log.Debug().Err(err).Str("node", string(n)).Str("object", id.String()).Msg("a node did not give an object")
				return nil
			}
			select {
			case got <- data:
				cancel()
			default:
			}
			return nil
		})
	}
	_ = asking.Wait() // the functions return nil
	select {
	case data := <-got:
		return data
	default:
		return nil
	}
}

// ask asks one node, and takes the object when it is its turn.
func (s *Store) ask(ctx context.Context, from core.NodeID, id core.ObjectID, turn chan struct{}) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answer, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	stream, err := s.deps.Network.OpenStream(answer, from, s.protocol)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	stop := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer stop()
	size, err := has(stream, id)
	if err != nil {
		return nil, err
	}
	if size > storage.MaxObjectBytes {
		return nil, s.blame(from, p2p.Malformed, "it announces %d bytes", size)
	}
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	data, err := body(stream, int64(size))
	if err == nil && core.ObjectOf(data) != id {
		err = s.blame(from, p2p.Forged, "it sent other bytes than those of the object")
	}
	return data, err
}

func (s *Store) blame(from core.NodeID, o p2p.Offence, format string, args ...any) error {
	if s.deps.Blame != nil {
		s.deps.Blame(from, o, 1)
	}
	return core.Errorf(core.Corrupt, "object", format, args...)
}

// has asks for an object and returns its size.
func has(stream p2p.Stream, id core.ObjectID) (size uint64, err error) {
	_ = stream.SetDeadline(time.Now().Add(answerTimeout)) // the context bounds it too
	if _, err := stream.Write(id[:]); err != nil {
		return 0, err
	}
	var head [headBytes]byte
	if _, err := io.ReadFull(stream, head[:]); err != nil {
		return 0, err // at once for a node that does not have it
	}
	if head[0] != found {
		return 0, core.Errorf(core.Corrupt, "object", "the answer begins with %d", head[0])
	}
	return binary.BigEndian.Uint64(head[1:]), nil
}

// body reads the object. Memory follows what has arrived, not what was announced.
func body(stream p2p.Stream, size int64) ([]byte, error) {
	_ = stream.SetDeadline(time.Now().Add(fetchTimeout)) // the context bounds it too
	data := bytes.NewBuffer(make([]byte, 0, min(size, firstRead)))
	if _, err := io.CopyN(data, stream, size); err != nil {
		return nil, err
	}
	return data.Bytes(), nil
}
