package p2p

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/record"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
)

const (
	maxSaved      = 500
	maxSavedFile  = 4 << 20 // what is read at most
	maxPeerRecord = 4 << 10 // signed, as others made it
	saveEvery     = time.Minute
	bookVersion   = 1
)

// saved is one good peer: a record it signed itself, and what we saw of it.
type saved struct {
	ID       core.NodeID   `json:"id"`
	Record   []byte        `json:"record"` // libp2p signed peer record
	LastSeen time.Time     `json:"lastSeen"`
	RTT      time.Duration `json:"rttNs"`
	info     peer.AddrInfo
}

type bookFile struct {
	Version int     `json:"version"`
	Peers   []saved `json:"peers"`
}

// book remembers good peers across restarts: the file is what a node starts from
// when its bootstrap nodes are gone.
type book struct {
	path  string
	store peerstore.Peerstore
	log   zerolog.Logger

	mu      sync.Mutex
	entries map[peer.ID]saved
}

// newBook reads path; a damaged file is a warning and an empty book, as the
// network can be found again without it.
func newBook(path string, store peerstore.Peerstore, log zerolog.Logger) *book {
	b := &book{path: path, store: store, log: log, entries: map[peer.ID]saved{}}
	list, err := readBook(path)
	if err != nil {
		log.Warn().Err(err).Str("file", path).Msg("the file of saved peers is not usable; starting without it")
	}
	for _, s := range list {
		b.entries[s.info.ID] = s
		store.AddAddrs(s.info.ID, s.info.Addrs, peerstore.RecentlyConnectedAddrTTL)
	}
	return b
}

func readBook(path string) ([]saved, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSavedFile))
	if err != nil {
		return nil, err
	}
	return parseBook(data)
}

// parseBook keeps the entries that prove themselves; entries that do not are an
// error beside the good ones.
func parseBook(data []byte) ([]saved, error) {
	var file bookFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("decoding saved peers: %w", err)
	}
	if file.Version != bookVersion {
		return nil, fmt.Errorf("saved peers have version %d, not %d", file.Version, bookVersion)
	}
	var out []saved
	bad := 0
	for _, s := range file.Peers[:min(len(file.Peers), maxSaved)] {
		info, err := openPeerRecord(s.Record)
		if err != nil || nodeID(info.ID) != s.ID {
			bad++
			continue
		}
		s.info = info
		out = append(out, s)
	}
	if bad > 0 {
		return out, fmt.Errorf("%d of %d saved peers are damaged", bad, len(file.Peers))
	}
	return out, nil
}

// openPeerRecord checks a signed peer record: well-formed, signed by the very key
// that its peer id spells out.
func openPeerRecord(signed []byte) (peer.AddrInfo, error) {
	if len(signed) == 0 || len(signed) > maxPeerRecord {
		return peer.AddrInfo{}, fmt.Errorf("peer record has %d bytes; it must have 1 to %d", len(signed), maxPeerRecord)
	}
	var rec peer.PeerRecord
	env, err := record.ConsumeTypedEnvelope(signed, &rec)
	if err != nil {
		return peer.AddrInfo{}, fmt.Errorf("opening peer record: %w", err)
	}
	if !rec.PeerID.MatchesPublicKey(env.PublicKey) {
		return peer.AddrInfo{}, fmt.Errorf("peer record of %s is signed by somebody else", rec.PeerID)
	}
	return peer.AddrInfo{ID: rec.PeerID, Addrs: rec.Addrs}, nil
}

// serve saves the good peers every minute and at the end.
func (b *book) serve(ctx context.Context, good func() []saved) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			b.save(good())
			return ctx.Err()
		case <-tick.C:
			b.save(good())
		}
	}
}

func (b *book) save(good []saved) {
	b.mu.Lock()
	for _, s := range good {
		b.entries[s.info.ID] = s
	}
	list := b.sorted()
	for _, s := range list[min(len(list), maxSaved):] {
		delete(b.entries, s.info.ID)
	}
	list = list[:min(len(list), maxSaved)]
	b.mu.Unlock()
	if b.path == "" {
		return
	}
	if err := writeBook(b.path, bookFile{Version: bookVersion, Peers: list}); err != nil {
		b.log.Warn().Err(err).Str("file", b.path).Msg("saving peers")
	}
}

// sorted returns the entries, the best first: seen last, then nearest. b.mu is
// held.
func (b *book) sorted() []saved {
	list := make([]saved, 0, len(b.entries))
	for _, s := range b.entries {
		list = append(list, s)
	}
	slices.SortFunc(list, func(x, y saved) int {
		return cmp.Or(y.LastSeen.Compare(x.LastSeen), cmp.Compare(x.RTT, y.RTT), cmp.Compare(x.ID, y.ID))
	})
	return list
}

// some returns n of the saved peers starting at the from-th best, wrapping
// around.
func (b *book) some(from, n int) []peer.AddrInfo {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.sorted()
	var out []peer.AddrInfo
	for i := range min(n, len(list)) {
		out = append(out, list[(from+i)%len(list)].info)
	}
	return out
}

func (b *book) peers() []Peer {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Peer
	for _, s := range b.sorted() {
		p := Peer{ID: s.ID, RTT: s.RTT, Since: s.LastSeen}
		if len(s.info.Addrs) > 0 {
			p.Addr = s.info.Addrs[0].String()
		}
		out = append(out, p)
	}
	return out
}

// writeBook replaces the file by a complete one or leaves the old one.
func writeBook(path string, file bookFile) error {
	data, err := json.Marshal(file)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// goodPeers are the connected peers of this network that gave a signed record.
func (h *Host) goodPeers() []saved {
	now := time.Now()
	var out []saved
	for _, p := range h.ourPeers() {
		signed := h.watch.recordOf(p)
		info, err := openPeerRecord(signed)
		if err != nil || info.ID != p || len(info.Addrs) == 0 {
			continue
		}
		out = append(out, saved{ID: nodeID(p), Record: signed, LastSeen: now, RTT: h.host.Peerstore().LatencyEWMA(p), info: info})
	}
	return out
}
