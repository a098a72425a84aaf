package p2p

import (
	"math"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/tenzro/tenzro/core"
)

// Offence is a kind of thing that a peer must not send.
type Offence uint8

// The offences, the lightest first.
const (
	// Unknown is a message of a type, or with a value, that this version does not know,
	// or one that was overtaken by events: a newer version or a lost race sends such in
	// good faith.
	Unknown Offence = iota
	// Misplaced is a known message that is none of this side's.
	Misplaced
	// Forged is a message in the name of another or with a wrong signature.
	Forged
	// Malformed is a frame that does not decode or is too large.
	Malformed
	// Violation is a broken rule of the session protocol.
	Violation
)

// String returns the kind as metrics and bans name it.
func (o Offence) String() string {
	switch o {
	case Unknown:
		return "unknown"
	case Misplaced:
		return "misplaced"
	case Forged:
		return "forged"
	case Malformed:
		return "malformed"
	}
	return "violation"
}

// What offences cost and when a peer is banned; docs/spec/session.md has the same
// numbers. A clean peer may send 60,000 unknown messages at once and 100 a second
// for ever, or ten forgeries at once and one a minute.
const (
	costUnknown   = 1
	costMisplaced = 10
	costGrave     = 6_000

	banDebt      = 60_000 // a peer that owes as much is banned
	debtForgiven = 100    // every second
	offenceBan   = 5 * time.Minute
	// maxDebtors bounds the peers whose debt is kept; beyond it whoever owes least is
	// forgiven.
	maxDebtors = 4096
)

func (o Offence) cost() float64 {
	switch o {
	case Unknown:
		return costUnknown
	case Misplaced:
		return costMisplaced
	}
	return costGrave
}

// debtor is a peer that sent what it must not.
type debtor struct {
	debt float64
	at   time.Time // when debt was that
	out  time.Time // banned until
}

// owes returns the debt that is left at a time.
func (d *debtor) owes(now time.Time) float64 {
	return max(0, d.debt-debtForgiven*max(0, now.Sub(d.at).Seconds()))
}

// debtors adds up what peers did; it bans nobody itself.
type debtors struct {
	mu    sync.Mutex
	all   map[peer.ID]*debtor
	spare func(core.NodeID) bool // nil: nobody
}

func newDebtors() *debtors { return &debtors{all: map[peer.ID]*debtor{}} }

// charge adds cost to what p owes and reports, once for each ban, whether p is to
// be banned now. Half the debt outlives the ban: who goes on is out sooner.
func (t *debtors) charge(p peer.ID, cost float64, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.all[p]
	if d == nil {
		t.makeRoom(now)
		d = &debtor{}
		t.all[p] = d
	}
	d.debt, d.at = math.Min(d.owes(now)+cost, banDebt), now
	if d.debt < banDebt || now.Before(d.out) {
		return false
	}
	d.out = now.Add(offenceBan)
	return true
}

// makeRoom forgets who owes nothing, or whoever owes least, when all places are
// taken. t.mu is held.
func (t *debtors) makeRoom(now time.Time) {
	if len(t.all) < maxDebtors {
		return
	}
	var least peer.ID
	lowest := math.Inf(1)
	for p, d := range t.all {
		owes := d.owes(now)
		if owes == 0 {
			delete(t.all, p)
		}
		if owes < lowest {
			least, lowest = p, owes
		}
	}
	delete(t.all, least)
}

// spares reports whether p is not to be banned. The function is not called under the
// lock: it may take others.
func (t *debtors) spares(p peer.ID) bool {
	t.mu.Lock()
	spare := t.spare
	t.mu.Unlock()
	return spare != nil && spare(nodeID(p))
}

// Spare sets who is not banned for what he sends, because this node cannot do without
// him: a ban cuts everything between two nodes. It may still be asked for (Ban). spare
// must not call the Host; nil spares nobody.
func (h *Host) Spare(spare func(core.NodeID) bool) {
	h.debtors.mu.Lock()
	defer h.debtors.mu.Unlock()
	h.debtors.spare = spare
}

// Offended notes that a peer sent n things of a kind that it must not send. Each
// costs it something, which is forgiven with time; a peer that owes too much is
// banned for minutes. It returns at once. This node itself is never banned, nor whom
// Spare names.
func (h *Host) Offended(by core.NodeID, o Offence, n int) {
	if p, err := peerID(by); err == nil && n > 0 {
		h.offended(p, o, n)
	}
}

func (h *Host) offended(p peer.ID, o Offence, n int) {
	now := time.Now()
	if p == h.cfg.self || !h.debtors.charge(p, o.cost()*float64(n), now) || !h.enter() {
		return
	}
	go func() { // the caller may run inside what the ban ends, or hold what spares wants
		defer h.handlers.Done()
		if h.debtors.spares(p) {
			h.log.Warn().Stringer("peer", p).Stringer("offence", o).Msg("a peer that this node cannot do without sent too much that is forged, malformed or unknown; it is not banned")
			return
		}
		h.metrics.bans.WithLabelValues(o.String()).Inc()
		h.log.Warn().Stringer("peer", p).Stringer("offence", o).Dur("for", offenceBan).Msg("peer banned: it sent too much that is forged, malformed or unknown")
		if err := h.Ban(nodeID(p), now.Add(offenceBan), "sent too much that is "+o.String()); err != nil {
			h.log.Debug().Err(err).Stringer("peer", p).Msg("a banned peer was not disconnected in order")
		}
	}()
}
