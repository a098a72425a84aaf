package registry

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Defaults of Config.
const (
	// DefaultMaxNodes bounds a table: about 100 MB with ads of ordinary size.
	DefaultMaxNodes = 100_000
	// DefaultHeartbeat is how often a node is heard (document 4, "Network").
	DefaultHeartbeat = 30 * time.Second
	// DefaultMissed is how many heartbeats may be missed before a node is offline.
	DefaultMissed = 3
	// MaxSkew is how far in the future an ad may have been issued.
	MaxSkew = 60 * time.Second
)

// Config bounds a Table; zero values take the defaults.
type Config struct {
	Network    core.NetworkID // ads of others are refused
	MaxNodes   int            // too small refuses workers; too large costs memory
	Heartbeat  time.Duration  // interval between two signs of life
	Missed     int            // offline after Missed * Heartbeat of silence
	Reputation *Reputation    // who may be selected; nil: nobody is excluded
}

// Free is what a node last said it has left.
type Free struct {
	CPU      int         // percent of the whole machine
	MemoryMB int64       // MiB
	Active   int         // offers being worked on
	AskPrice core.Amount // what it asks for a million operations
	Rests    string      // why it takes no work until it says otherwise; empty: it takes some
}

// Node is one row of a Table. Ad is shared with the table: read it only.
type Node struct {
	Ad         *wire.Ad
	Free       Free
	LastSeen   time.Time
	State      core.Lifecycle // core.Online or core.Offline
	Reputation int            // 0..100
	Region     core.RegionID
}

// Table is the capability index: who is there and what they can do.
type Table struct {
	cfg     Config
	silence time.Duration

	mu    sync.Mutex
	index map[core.NodeID]int // into nodes; always exactly its inverse
	nodes []entry             // dense, because selection scans it
	// ranked is Select's workspace, kept so that a query allocates nothing.
	ranked [2 * (bands + 1)][]int32
}

type entry struct {
	ad   *wire.Ad
	free Free
	seen time.Time
	gone bool // said goodbye, or Expire named it already
	// rank is what free and ad add to the score; kept, because a scan is too hot
	// to compute it.
	rank float64
}

// NewTable returns an empty table.
func NewTable(cfg Config) *Table {
	cfg.MaxNodes = orDefault(cfg.MaxNodes, DefaultMaxNodes)
	cfg.Heartbeat = orDefault(cfg.Heartbeat, DefaultHeartbeat)
	cfg.Missed = orDefault(cfg.Missed, DefaultMissed)
	return &Table{cfg: cfg, silence: cfg.Heartbeat * time.Duration(cfg.Missed), index: map[core.NodeID]int{}}
}

func orDefault[T int | time.Duration](v, d T) T {
	if v <= 0 {
		return d
	}
	return v
}

// Put takes a node's ad and counts as a sign of life when the ad is new. The
// same ad again is a no-op. Refused are: an ad out of bounds (core.Invalid), of
// another network or with a bad signature (core.Denied), expired or issued more
// than MaxSkew ahead (core.Timeout), not newer than the one known (core.Conflict:
// a replay), and a new node when the table is full of live ones (core.Exhausted).
// The caller must not change ad afterwards.
func (t *Table) Put(ad *wire.Ad, now time.Time) (changed bool, err error) {
	if err := t.acceptable(ad, now); err != nil {
		return false, err
	}
	// A replay is refused before it costs a signature check.
	if _, err := t.compare(ad); err != nil {
		return false, err
	}
	if err := wire.VerifyAd(ad); err != nil {
		return false, err
	}
	return t.store(ad, now)
}

func (t *Table) acceptable(ad *wire.Ad, now time.Time) error {
	if err := ad.Validate(); err != nil {
		return err
	}
	switch {
	case ad.Network != t.cfg.Network:
		return core.Errorf(core.Denied, "network", "ad of %s is for network %.40q, not %q", ad.NodeID.Short(), ad.Network, t.cfg.Network)
	case !now.Before(ad.Expires):
		return core.Errorf(core.Timeout, "expires", "ad of %s expired %s ago", ad.NodeID.Short(), now.Sub(ad.Expires).Round(time.Second))
	case ad.Issued.Sub(now) > MaxSkew:
		return core.Errorf(core.Timeout, "issued", "ad of %s was issued %s in the future", ad.NodeID.Short(), ad.Issued.Sub(now).Round(time.Second)).
			WithHint("check the clocks of both nodes")
	}
	return nil
}

// compare reports whether ad is the one already known.
func (t *Table) compare(ad *wire.Ad) (same bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.compareLocked(ad)
}

func (t *Table) compareLocked(ad *wire.Ad) (same bool, err error) {
	i, known := t.index[ad.NodeID]
	if !known {
		return false, nil
	}
	old := t.nodes[i].ad
	switch {
	case ad.Sequence > old.Sequence:
		return false, nil
	case ad.Sequence == old.Sequence && bytes.Equal(ad.Signature, old.Signature):
		return true, nil
	}
	return false, core.Errorf(core.Conflict, "sequence", "ad %d of %s is not newer than ad %d", ad.Sequence, ad.NodeID.Short(), old.Sequence)
}

// store repeats the comparison: another Put may have come between.
func (t *Table) store(ad *wire.Ad, now time.Time) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if same, err := t.compareLocked(ad); same || err != nil {
		return false, err
	}
	i, known := t.index[ad.NodeID]
	if !known {
		if err := t.makeRoom(now); err != nil {
			return false, err
		}
		i = len(t.nodes)
		t.nodes = append(t.nodes, entry{})
		t.index[ad.NodeID] = i
	}
	e := entry{ad: ad, free: t.freeAfter(i, known, ad), seen: now}
	e.rank = e.ranked()
	t.nodes[i] = e
	return true, nil
}

// freeAfter takes the free figures of the new ad but keeps what an ad does not
// carry.
func (t *Table) freeAfter(i int, known bool, ad *wire.Ad) Free {
	var f Free
	if known {
		f = t.nodes[i].free
	}
	f.CPU, f.MemoryMB = ad.Resources.FreeCPU, ad.Resources.FreeMemoryMB
	return f
}

// makeRoom forgets offline nodes early when the table is full.
func (t *Table) makeRoom(now time.Time) error {
	if len(t.nodes) < t.cfg.MaxNodes {
		return nil
	}
	t.forget(func(e *entry) bool { return !t.online(e, now) })
	if len(t.nodes) < t.cfg.MaxNodes {
		return nil
	}
	return core.Errorf(core.Exhausted, "nodes", "the table holds %d live nodes, its limit", t.cfg.MaxNodes).
		WithHint("attach to another coordinator")
}

// Beat is a sign of life with the node's free figures of now. An unknown node,
// or one whose ad expired, is core.NotFound: it must send its ad. It reports
// whether the node began or ended a rest.
func (t *Table) Beat(id core.NodeID, free Free, now time.Time) (turned bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.index[id]
	if !ok || !now.Before(t.nodes[i].ad.Expires) {
		return false, core.Errorf(core.NotFound, "node", "no valid ad of %s is known", id.Short()).WithHint("send an ad first")
	}
	e := &t.nodes[i]
	turned = (e.free.Rests == "") != (free.Rests == "")
	e.free, e.gone = free, false
	e.rank = e.ranked()
	if now.After(e.seen) {
		e.seen = now
	}
	return turned, nil
}

// Remove takes a node offline at once, for example when it says goodbye. Its ad
// is remembered until it expires, so that nobody can replay it.
func (t *Table) Remove(id core.NodeID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, ok := t.index[id]; ok {
		t.nodes[i].gone = true
	}
}

// Expire returns the nodes that went offline since the last call, each once:
// those silent for too long and those whose ad expired. The latter are
// forgotten. Call it about once per heartbeat.
func (t *Table) Expire(now time.Time) []core.NodeID {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []core.NodeID
	for i := range t.nodes {
		e := &t.nodes[i]
		if !e.gone && !t.online(e, now) {
			e.gone = true
			out = append(out, e.ad.NodeID)
		}
	}
	t.forget(func(e *entry) bool { return !now.Before(e.ad.Expires) })
	slices.Sort(out)
	return out
}

// forget drops every entry that drop names, keeping the order of the others.
func (t *Table) forget(drop func(*entry) bool) {
	kept := t.nodes[:0]
	for i := range t.nodes {
		id := t.nodes[i].ad.NodeID
		if drop(&t.nodes[i]) {
			delete(t.index, id)
			continue
		}
		t.index[id] = len(kept)
		kept = append(kept, t.nodes[i])
	}
	clear(t.nodes[len(kept):])
	t.nodes = kept
}

// Get returns one node as it is at now.
func (t *Table) Get(id core.NodeID, now time.Time) (Node, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.index[id]
	if !ok {
		return Node{}, false
	}
	return t.node(&t.nodes[i], now), true
}

// All returns every remembered node, offline ones included, sorted by id.
func (t *Table) All(now time.Time) []Node {
	t.mu.Lock()
	out := make([]Node, len(t.nodes))
	for i := range t.nodes {
		out[i] = t.node(&t.nodes[i], now)
	}
	t.mu.Unlock()
	slices.SortFunc(out, func(a, b Node) int { return strings.Compare(string(a.Ad.NodeID), string(b.Ad.NodeID)) })
	return out
}

// Len returns how many nodes are remembered, offline ones included.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.nodes)
}

// online: heard within the silence limit, not gone, with an ad that is valid.
func (t *Table) online(e *entry, now time.Time) bool {
	return !e.gone && now.Sub(e.seen) < t.silence && now.Before(e.ad.Expires)
}

func (t *Table) node(e *entry, now time.Time) Node {
	n := Node{Ad: e.ad, Free: e.free, LastSeen: e.seen, State: core.Offline, Reputation: StartScore, Region: e.ad.Region}
	if t.online(e, now) {
		n.State = core.Online
	}
	if t.cfg.Reputation != nil {
		n.Reputation = t.cfg.Reputation.Score(e.ad.NodeID)
	}
	return n
}
