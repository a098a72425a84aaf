package jobs

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// model is what an observer knows of a board who sees only calls and effects.
type model struct {
	board    *Board
	now      time.Time
	world    world
	children map[core.NodeID]*seen
	units    map[Key]*fate
	leases   map[wire.LeaseID]*fate // everything ever offered
	added    int
	lastID   wire.LeaseID
	copies   int // ever offered
	epoch    uint64
}

// seen is one child: its granted and unused credits, and what it reserves.
type seen struct {
	ChildInfo
	credits [classCount]int
	cpu     int
	memory  int64
	paused  time.Time
}

// fate is one unit: who holds it, whether its result is being judged, how often
// it ended.
type fate struct {
	unit    Unit
	holders map[wire.LeaseID]core.NodeID // at most two, of different nodes
	judged  int                          // results in judgement
	ends    int
	retired bool // left in silence, which counts as an end
	refused map[core.NodeID]bool
}

// TestBoardProperty runs random operations, wrong and stale ones included, and
// checks after each that no guarantee of the package is broken: a unit is leased
// to one node at a time, and a slow one to one more, and ends exactly once, no node is offered more than it
// granted or can hold, nothing that fits waits, and nothing is left at the end.
//
// spec 4.23 4.55
func TestBoardProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		t.Repeat(map[string]func(*rapid.T){
			"join":    m.join,
			"grant":   m.grant,
			"add":     m.add,
			"add two": func(t *rapid.T) { m.add(t); m.add(t) },
			"accept":  m.accept,
			"reject":  m.reject,
			"renew":   m.renew,
			"result":  m.result,
			"judge":   m.judge,
			"fail":    m.fail,
			"leave":   m.leave,
			"wait":    m.wait,
			"slow":    m.slow,
			"lead":    m.lead,
			"retire":  m.retire,
			"resume":  m.resume,
			"claim":   m.claim,
			"":        m.check,
		})
		m.finish(t)
	})
}

func newModel() *model {
	m := &model{now: time.Unix(1e9, 0), world: world{}, children: map[core.NodeID]*seen{}, units: map[Key]*fate{}, leases: map[wire.LeaseID]*fate{}}
	m.board = NewBoard(Limits{MaxUnits: 40, SpeculateShare: 0.5, SpeculateSamples: 1, SpeculateFloor: 50 * time.Millisecond}, m.world, 7)
	return m
}

func drawChild(t *rapid.T) core.NodeID {
	return core.NodeID(fmt.Sprintf("w%d", rapid.IntRange(0, 4).Draw(t, "child")))
}

func drawClass(t *rapid.T) wire.Class {
	return rapid.SampledFrom([]wire.Class{wire.ClassSubtask, wire.ClassSubtask, wire.ClassJob}).Draw(t, "class")
}

// drawLease draws mostly a lease that some node holds, with its holder, and
// sometimes anything.
func (m *model) drawLease(t *rapid.T) (core.NodeID, wire.LeaseID) {
	var open []wire.LeaseID
	for _, id := range slices.Sorted(maps.Keys(m.leases)) {
		if m.leases[id].holders[id] != "" {
			open = append(open, id)
		}
	}
	if len(open) == 0 || rapid.IntRange(0, 4).Draw(t, "wrong") == 0 {
		return drawChild(t), m.drawAnyLease(t)
	}
	id := rapid.SampledFrom(open).Draw(t, "lease")
	return m.leases[id].holders[id], id
}

// drawAnyLease draws one that was given, or next to one.
func (m *model) drawAnyLease(t *rapid.T) wire.LeaseID {
	given := append(slices.Sorted(maps.Keys(m.leases)), wire.LeaseID(m.epoch)<<32)
	return rapid.SampledFrom(given).Draw(t, "given lease") + wire.LeaseID(rapid.IntRange(0, 1).Draw(t, "beside"))
}

// owns is what the board must say about a lease.
func (m *model) owns(from core.NodeID, lease wire.LeaseID) *fate {
	if f := m.leases[lease]; f != nil && from != "" && f.holders[lease] == from {
		return f
	}
	return nil
}

func (m *model) join(t *rapid.T) {
	info := ChildInfo{ID: drawChild(t), Region: rapid.SampledFrom([]core.RegionID{"us", "eu"}).Draw(t, "region")}
	if m.children[info.ID] != nil {
		return // what a node holds was promised under its old limits: see rejoin_keeps_leases
	}
	info.CPU = rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "cpu")
	info.MemoryMB = rapid.SampledFrom([]int64{0, 100, 1000}).Draw(t, "memory")
	m.world[info.ID] = ability{types: rapid.SampledFrom([]string{"", "a", "b", "a,b"}).Draw(t, "types"), score: rapid.Float64Range(0, 1).Draw(t, "score")}
	m.children[info.ID] = &seen{ChildInfo: info}
	m.board.Join(info)
}

func (m *model) grant(t *rapid.T) {
	id, class, n := drawChild(t), drawClass(t), rapid.IntRange(0, 4).Draw(t, "credits")
	if c := m.children[id]; c != nil {
		c.credits[classIndex(class)] += n
	}
	m.board.Grant(id, class, n, m.now)
}

func (m *model) add(t *rapid.T) {
	m.added++
	u := m.drawNew(t, Key{Task: core.TaskID(fmt.Sprintf("t%d", m.added))})
	if p := m.board.paces.of(&u); p.seen == 0 { // so that every class has a pace
		p.add(time.Millisecond, 1)
	}
	open := m.open()
	m.units[u.Key] = &fate{unit: u, holders: map[wire.LeaseID]core.NodeID{}, refused: map[core.NodeID]bool{}}
	err := m.board.Add(u, m.now)
	if full := open >= 40; full != (core.KindOf(err) == core.Exhausted) || (err != nil) != full {
		t.Fatalf("adding beside %d units: %v", open, err)
	}
	if err != nil {
		delete(m.units, u.Key)
		return
	}
	if m.board.Add(u, m.now) == nil || m.board.Resume(u, m.now) == nil {
		t.Fatalf("unit %v could be added twice", u.Key)
	}
}

func (m *model) drawNew(t *rapid.T, k Key) Unit {
	return Unit{Key: k, InputHash: drawInput(t), Class: drawClass(t), Weight: rapid.SampledFrom([]int64{0, 1, 3, 1 << 41}).Draw(t, "weight"),
		Head: wire.TaskHead{Submitter: rapid.SampledFrom([]string{"", "alice", "bob"}).Draw(t, "submitter"), Priority: rapid.IntRange(-1, 1).Draw(t, "priority"), Type: rapid.SampledFrom([]core.TaskType{"a", "b"}).Draw(t, "type"),
			Requirements: core.Requirements{CPU: rapid.SampledFrom([]int{0, 30, 60}).Draw(t, "cpu"), MemoryMB: rapid.SampledFrom([]int64{0, 80}).Draw(t, "memory")}},
		Home:       rapid.SampledFrom([]core.RegionID{"", "", "us"}).Draw(t, "home"),
		Pool:       rapid.SampledFrom([]Pool{"", "", NewPool([]core.NodeID{"w1", "w3"})}).Draw(t, "pool"),
		QueueUntil: m.now.Add(rapid.SampledFrom([]time.Duration{0, 5 * time.Second, time.Minute}).Draw(t, "queue")),
		Deadline:   m.now.Add(rapid.SampledFrom([]time.Duration{3 * time.Second, time.Minute, 5 * time.Minute}).Draw(t, "deadline"))}
}

func (m *model) open() (n int) {
	for _, f := range m.units {
		if f.ends == 0 {
			n++
		}
	}
	return n
}

func (m *model) accept(t *rapid.T) {
	from, lease := m.drawLease(t)
	if u, _ := m.board.Accepted(from, lease, m.now); u != nil && (m.owns(from, lease) == nil || m.owns(from, lease).unit.Key != u.Key) {
		t.Fatalf("node %s could accept lease %d", from, lease)
	}
}

func (m *model) reject(t *rapid.T) {
	from, lease := m.drawLease(t)
	f := m.owns(from, lease)
	why := rapid.SampledFrom([]wire.Refusal{wire.RefusedBusy, wire.RefusedUnable, wire.RefusedPolicy}).Draw(t, "why")
	retry := rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute}).Draw(t, "retry")
	if _, h := m.board.held(from, lease); f != nil && h.state == Offered {
		m.release(f, lease)
		if why == wire.RefusedBusy {
			m.children[from].paused = m.now.Add(max(retry, 10*time.Millisecond))
		} else {
			f.refused[from] = true
		}
	}
	m.board.Rejected(from, lease, why, retry, m.now)
}

func (m *model) renew(t *rapid.T) {
	from, lease := m.drawLease(t)
	if ok, want := m.board.Renewed(from, lease, 0.5, m.now), m.owns(from, lease) != nil; ok != want {
		t.Fatalf("renewing lease %d from %s gives %t", lease, from, ok)
	}
}

func (m *model) result(t *rapid.T) {
	from, lease := m.drawLease(t)
	f := m.owns(from, lease)
	if f != nil { // before the call: the place is offered to the next at once
		m.release(f, lease)
		f.judged++
	}
	if u := m.board.Resulted(from, lease, m.now); (u != nil) != (f != nil) || u != nil && u.Key != f.unit.Key {
		t.Fatalf("the result of lease %d from %s gives %v", lease, from, u)
	}
}

// judge settles a unit, with a result or not.
func (m *model) judge(t *rapid.T) {
	f := m.drawUnit(t)
	if f == nil {
		return
	}
	was := f.judged > 0
	if rapid.Bool().Draw(t, "good") {
		if done := m.board.Done(f.unit.Key, m.now); done != was {
			t.Fatalf("unit %v in judgement %t: done gives %t", f.unit.Key, was, done)
		} else if done {
			f.ends++
			f.judged = 0
		}
		return
	}
	from, blame := drawChild(t), rapid.Bool().Draw(t, "blamed")
	f.refused[from] = f.refused[from] || was && blame
	f.judged = max(0, f.judged-1)
	m.board.Retry(f.unit.Key, from, blame, "refused", m.now)
}

func (m *model) drawUnit(t *rapid.T) *fate {
	if m.added == 0 {
		return nil
	}
	return m.units[Key{Task: core.TaskID(fmt.Sprintf("t%d", rapid.IntRange(1, m.added).Draw(t, "unit")))}]
}

func (m *model) fail(t *rapid.T) {
	if f := m.drawUnit(t); f != nil {
		m.board.Fail(f.unit.Key, &core.Failure{Reason: core.ReasonCancelled}, m.now)
	}
}

func (m *model) leave(t *rapid.T) {
	id := drawChild(t)
	for lease, f := range m.leases {
		if f.holders[lease] == id {
			m.release(f, lease)
		}
	}
	delete(m.children, id)
	m.board.Leave(id, m.now)
}

func drawInput(t *rapid.T) core.Digest {
	return core.Sum([]byte{byte(rapid.IntRange(0, 1).Draw(t, "input"))})
}

// lead begins an epoch, on an empty board or not.
func (m *model) lead(*rapid.T) {
	m.epoch++
	m.board.Lead(m.epoch, m.now)
}

func (m *model) retire(*rapid.T) {
	for _, f := range m.units {
		if f.ends == 0 {
			for lease := range f.holders {
				m.release(f, lease)
			}
			f.ends, f.judged, f.retired = 1, 0, true
		}
	}
	m.board.Retire()
}

// resume brings back a unit that left in silence.
func (m *model) resume(t *rapid.T) {
	f := m.drawUnit(t)
	if f == nil || !f.retired {
		return
	}
	if m.board.Resume(f.unit, m.now) == nil {
		m.units[f.unit.Key] = &fate{unit: f.unit, holders: map[wire.LeaseID]core.NodeID{}, refused: map[core.NodeID]bool{}}
	}
}

// claim claims a unit, mostly with its own input, under any lease.
func (m *model) claim(t *rapid.T) {
	f, from := m.drawUnit(t), drawChild(t)
	if f == nil {
		return
	}
	c := Claim{Key: f.unit.Key, Lease: m.drawAnyLease(t), Attempt: rapid.IntRange(1, 100).Draw(t, "attempt"), InputHash: f.unit.InputHash,
		Finished: rapid.Bool().Draw(t, "finished")}
	if rapid.IntRange(0, 4).Draw(t, "wrong") == 0 {
		c.InputHash = drawInput(t)
	}
	ch := m.children[from]
	if ch != nil && m.epoch > 0 && !c.Finished {
		ch.credits[1] = max(0, ch.credits[1]-1)
	}
	other := m.leases[c.Lease]
	free := other == nil || other.holders[c.Lease] == ""
	switch got, u := m.board.Claim(from, c, m.now); {
	case (got == ClaimKnown || got == ClaimAdopted) != (u != nil):
		t.Fatalf("the claim gives %d with unit %v", got, u)
	case got == ClaimKnown && m.owns(from, c.Lease) != f:
		t.Fatalf("node %s is known to hold unit %v under lease %d", from, c.Key, c.Lease)
	case got == ClaimAdopted:
		if m.epoch == 0 || ch == nil || !free || c.Lease == 0 || c.Lease > max(m.lastID, wire.LeaseID(m.epoch)<<32) || f.ends > 0 || len(f.holders) > 0 ||
			f.judged > 0 || f.unit.Class != wire.ClassSubtask || c.InputHash != f.unit.InputHash || f.refused[from] ||
			f.unit.Home != "" && f.unit.Home != ch.Region || !f.unit.Pool.Has(from) || !m.world.Match(from, u, m.now).Capable {
			t.Fatalf("node %s got unit %v by claiming lease %d", from, c.Key, c.Lease)
		}
		m.hold(f, ch, c.Lease)
	}
}

// hold makes a child the holder of a unit.
func (m *model) hold(f *fate, c *seen, lease wire.LeaseID) {
	if f.unit.Class == wire.ClassSubtask {
		c.cpu += f.unit.Head.Requirements.CPU
		c.memory += f.unit.Head.Requirements.MemoryMB
	}
	f.holders[lease], m.leases[lease] = c.ID, f
}

func (m *model) wait(t *rapid.T) {
	m.advance(t, rapid.SampledFrom([]time.Duration{0, 10 * time.Millisecond, time.Second, 16 * time.Second, 2 * time.Minute}).Draw(t, "wait"))
}

// advance lets time pass as an owner does: the board is called whenever it says.
func (m *model) advance(t *rapid.T, by time.Duration) {
	until := m.now.Add(by)
	for i := 0; ; i++ {
		next, ok := m.board.Next()
		if !ok || next.After(until) {
			break
		}
		if i > 100_000 {
			t.Fatalf("the board wants to be called at %v for ever", next)
		}
		m.now = later(m.now, next)
		m.board.Expire(m.now)
		m.check(t)
	}
	m.now = until
}

// slow starts a unit and lets it take long while others have nothing to do.
func (m *model) slow(t *rapid.T) {
	m.accept(t)
	m.check(t)
	for _, id := range []core.NodeID{"w0", "w1", "w2", "w3", "w4"} {
		if c := m.children[id]; c != nil {
			c.credits[1]++
		}
		m.board.Grant(id, wire.ClassSubtask, 1, m.now)
		m.check(t)
	}
	m.advance(t, 100*time.Millisecond)
}

// release takes a unit off its holder.
func (m *model) release(f *fate, lease wire.LeaseID) {
	if c := m.children[f.holders[lease]]; c != nil && f.unit.Class == wire.ClassSubtask {
		c.cpu -= f.unit.Head.Requirements.CPU
		c.memory -= f.unit.Head.Requirements.MemoryMB
	}
	delete(f.holders, lease)
}

// check holds every effect since the last call, and the board, to the guarantees.
func (m *model) check(t *rapid.T) {
	for _, e := range m.board.Effects() {
		switch {
		case e.Offer != nil:
			m.offered(t, e.Offer)
		case e.Revoke != nil:
			f := m.owns(e.Revoke.Child, e.Revoke.Lease)
			if f == nil {
				t.Fatalf("lease %d of %s was revoked but is not theirs", e.Revoke.Lease, e.Revoke.Child)
			}
			m.release(f, e.Revoke.Lease)
		case e.End != nil:
			f := m.units[e.End.Unit.Key]
			if f.ends++; f.ends != 1 || len(f.holders) > 0 || e.End.Failure == nil {
				t.Fatalf("unit %v ended %d times, held by %v, with %v", f.unit.Key, f.ends, f.holders, e.End.Failure)
			}
			f.judged = 0
		}
	}
	checkInvariants(t, m.board)
	m.nothingIdle(t)
}

func (m *model) offered(t *rapid.T, o *Offer) {
	f, c, class := m.units[o.Unit.Key], m.children[o.Child], classIndex(o.Unit.Class)
	if f == nil || f.ends > 0 || f.judged > 0 || len(f.holders) > 1 {
		t.Fatalf("unit %v was offered although it is not free", o.Unit.Key)
	}
	for _, holder := range f.holders { // this is its copy
		if m.copies++; holder == o.Child || f.unit.Class == wire.ClassJob {
			t.Fatalf("unit %v was offered to %s a second time", o.Unit.Key, holder)
		}
	}
	if m.leases[o.Lease] != nil || o.Lease <= m.lastID {
		t.Fatalf("lease %d was used before", o.Lease)
	}
	if c == nil || c.paused.After(m.now) || f.refused[o.Child] || f.unit.Home != "" && f.unit.Home != c.Region || !f.unit.Pool.Has(o.Child) || !m.world.Match(o.Child, o.Unit, m.now).Capable {
		t.Fatalf("unit %v was offered to %s, which may not have it", o.Unit.Key, o.Child)
	}
	if c.credits[class]--; c.credits[class] < 0 {
		t.Fatalf("node %s was offered more than it asked for", o.Child)
	}
	m.hold(f, c, o.Lease)
	if m.lastID = o.Lease; o.Unit.Class == wire.ClassSubtask && (c.CPU > 0 && c.cpu > c.CPU || c.MemoryMB > 0 && c.memory > c.MemoryMB) {
		t.Fatalf("node %s holds %d %% and %d MB; it has %d and %d", o.Child, c.cpu, c.memory, c.CPU, c.MemoryMB)
	}
	if o.Attempt < 1 || o.Attempt > 8 { // those that were claimed again count twice
		t.Fatalf("unit %v is offered for attempt %d", o.Unit.Key, o.Attempt)
	}
}

// nothingIdle fails when the head of a bucket waits for a node that could have it.
func (m *model) nothingIdle(t *rapid.T) {
	for _, bk := range m.board.buckets {
		it := bk.first
		for _, c := range m.board.ready[bk.key.class].list {
			if _, fits := m.board.fits(c, it, m.now); fits && c.paused.IsZero() {
				t.Fatalf("unit %v waits although node %s fits", it.Key, c.ID)
			}
		}
	}
}

// finish lets every deadline pass: all units must have ended, and nothing of
// them may be left.
func (m *model) finish(t *rapid.T) {
	m.advance(t, 10*time.Minute)
	for k, f := range m.units {
		if f.ends != 1 {
			t.Fatalf("unit %v ended %d times", k, f.ends)
		}
	}
	b := m.board
	if len(b.items)+len(b.leases)+len(b.buckets)+b.order.Len()+len(b.timers)+b.queued+b.copies+b.late.Len() > 0 {
		t.Fatalf("left behind: %d items, %d leases, %d buckets, %d timers, %d queued", len(b.items), len(b.leases), len(b.buckets), len(b.timers), b.queued)
	}
	if next, ok := b.Next(); ok {
		t.Fatalf("an empty board wants to be called at %v", next)
	}
	for _, id := range []core.NodeID{"w0", "w1", "w2", "w3", "w4"} {
		b.Leave(id, m.now)
	}
	if len(b.children)+len(b.ready[0].list)+len(b.ready[1].list) > 0 {
		t.Fatal("children are left behind")
	}
}
