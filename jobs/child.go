package jobs

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// ChildInfo is what the board needs to know about a node that pulls work.
type ChildInfo struct {
	ID       core.NodeID
	Region   core.RegionID
	CPU      int   // percent that may be reserved here at once; 0 = unlimited (a region)
	MemoryMB int64 // MiB that may be reserved here at once; 0 = unlimited
	// Group is set for one of several nodes that keep a record of what they hold: when
	// it leaves, another of them may claim that, after an election.
	Group bool
}

// child is a node that pulls work. Its credits are what it still wants; cpu and
// memory are reserved by the units it holds.
type child struct {
	ChildInfo
	credits [classCount]int
	readyAt [classCount]int // index in the ready set, -1 when not in it
	leases  map[wire.LeaseID]*item
	cpu     int
	memory  int64
	paused  time.Time
	silent  bool // a lease expired and nothing was heard since: it gets no work
}

const classCount = 2

func classIndex(c wire.Class) int {
	if c == wire.ClassJob {
		return 0
	}
	return 1
}

// Join makes a child known; joining again updates what is known and keeps its
// leases, so a node whose stream was resumed goes on.
func (b *Board) Join(info ChildInfo) {
	c := b.children[info.ID]
	if c == nil {
		c = &child{readyAt: [classCount]int{-1, -1}, leases: map[wire.LeaseID]*item{}}
		b.children[info.ID] = c
	}
	c.ChildInfo = info
}

// Leave forgets a child; whatever it held is queued again.
func (b *Board) Leave(id core.NodeID, now time.Time) {
	c := b.children[id]
	if c == nil {
		return
	}
	for i := range b.ready {
		b.ready[i].remove(c, i)
	}
	delete(b.children, id)
	for _, lease := range slices.Sorted(maps.Keys(c.leases)) {
		it, h := b.held(id, lease)
		b.drop(it, h, LinkLost, "node "+id.Short()+" left", now)
		b.awaitReturn(c, it, lease, now)
		b.place(it, now)
	}
	if b.queued > 0 { // others may now have what it should have had
		b.assign(now)
	}
}

// Grant adds credits; beyond wire.MaxCredits they are dropped. None are a sign
// of life, which lets a child whose lease expired have work again.
func (b *Board) Grant(id core.NodeID, class wire.Class, credits int, now time.Time) {
	b.heard(id, now)
	c := b.children[id]
	if c == nil || credits <= 0 {
		return
	}
	i := classIndex(class)
	c.credits[i] = min(c.credits[i]+credits, wire.MaxCredits)
	b.markReady(c)
	b.feed(c, now)
}

// heard notes that a child is there: a frozen one must not be offered, one after
// the other, what others could run.
func (b *Board) heard(id core.NodeID, now time.Time) {
	if c := b.children[id]; c != nil && c.silent {
		c.silent = false
		b.feed(c, now)
	}
}

// Children returns how many children are known.
func (b *Board) Children() int { return len(b.children) }

// Credits returns how many credits of class all children together have left. It
// takes a look at each.
func (b *Board) Credits(class wire.Class) (n int) {
	i := classIndex(class)
	for _, c := range b.ready[i].list {
		n += c.credits[i]
	}
	return n
}

// ActiveOf returns how many units a child holds.
func (b *Board) ActiveOf(id core.NodeID) int {
	if c := b.children[id]; c != nil {
		return len(c.leases)
	}
	return 0
}

func (c *child) take(it *item, lease wire.LeaseID, class int) {
	c.credits[class]--
	c.hold(it, lease)
}

// hold reserves what a unit needs.
func (c *child) hold(it *item, lease wire.LeaseID) {
	c.leases[lease] = it
	if it.Class == wire.ClassSubtask {
		c.cpu += it.Head.Requirements.CPU
		c.memory += it.Head.Requirements.MemoryMB
	}
}

func (c *child) release(it *item, lease wire.LeaseID) {
	delete(c.leases, lease)
	if it.Class == wire.ClassSubtask {
		c.cpu -= it.Head.Requirements.CPU
		c.memory -= it.Head.Requirements.MemoryMB
	}
}

// hasRoom reports whether the unit's requirements fit beside those it holds.
func (c *child) hasRoom(it *item) bool {
	if it.Class == wire.ClassJob {
		return true
	}
	cpu, memory := c.CPU, c.MemoryMB
	if cpu == 0 {
		cpu = math.MaxInt
	}
	if memory == 0 {
		memory = math.MaxInt64
	}
	r := it.Head.Requirements
	return c.cpu+r.CPU <= cpu && c.memory+r.MemoryMB <= memory
}

// snug returns how much of what is free here the unit asks for, 0..1: the higher,
// the less is left that nothing bigger fits into. It is 0 for a unit that asks
// for nothing and for a child without limits.
func (c *child) snug(it *item) float64 {
	if it.Class == wire.ClassJob {
		return 0
	}
	r, sum, n := it.Head.Requirements, 0.0, 0.0
	if r.CPU > 0 && c.CPU > 0 {
		sum, n = sum+float64(r.CPU)/float64(c.CPU-c.cpu), n+1
	}
	if r.MemoryMB > 0 && c.MemoryMB > 0 {
		sum, n = sum+float64(r.MemoryMB)/float64(c.MemoryMB-c.memory), n+1
	}
	return sum / max(n, 1)
}

// wantsWork reports whether the child has credits of any class left.
func (c *child) wantsWork() bool { return c.credits[0] > 0 || c.credits[1] > 0 }

// markReady puts the child into the ready set of every class it has credits for.
func (b *Board) markReady(c *child) {
	for i := range b.ready {
		if c.credits[i] > 0 {
			b.ready[i].add(c, i)
		}
	}
}

// readySet is the children with credits of one class; order has no meaning.
type readySet struct{ list []*child }

func (s *readySet) add(c *child, class int) {
	if c.readyAt[class] < 0 {
		c.readyAt[class] = len(s.list)
		s.list = append(s.list, c)
	}
}

func (s *readySet) remove(c *child, class int) {
	at := c.readyAt[class]
	if at < 0 {
		return
	}
	last := len(s.list) - 1
	s.list[at] = s.list[last]
	s.list[at].readyAt[class] = at
	s.list[last] = nil
	s.list = s.list[:last]
	c.readyAt[class] = -1
}
