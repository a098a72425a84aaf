package jobs

import (
	"time"

	"github.com/tenzro/tenzro/core"
)

// Facts is what a board knows about the units of one task at a moment. Those
// that end in "capable" and the like are about the unit that waits longest.
type Facts struct {
	Waits, Offered, Leased int // units of the task
	Nodes                  int // that hold them

	Queued   int           // units of all tasks that wait
	Ahead    int           // of those that ask for the same, how many come first; at most maxAhead
	Children int           // nodes that are linked
	Capable  int           // of them could run it, whether they have time or not, and do not rest
	Resting  int           // of them could run it but rest
	Free     int           // of those have room and asked for work
	Tried    int           // nodes that could, but failed it before
	Missing  string        // the requirement that nobody meets, or why who could rests, when Capable and Tried are 0
	Backoff  time.Duration // until the next try of what waits after a lost attempt; 0 = now
	Lost     int           // attempts of it that were lost
}

// maxAhead bounds how many units before one are counted.
const maxAhead = 10_000

// Facts collects what is known of the units 0..n-1 of a task. It costs a look at
// each of them, and at each child.
func (b *Board) Facts(task core.TaskID, n int, now time.Time) Facts {
	f := Facts{Queued: b.queued, Children: len(b.children)}
	holders := map[core.NodeID]bool{}
	var first *item
	for i := range n {
		it := b.items[Key{task, i}]
		if it == nil {
			continue
		}
		switch it.state {
		case Queued:
			f.Waits++
			if first == nil || first.bucket == nil && it.bucket != nil {
				first = it
			}
		case Offered:
			f.Offered++
			holders[it.child] = true
		case Leased:
			f.Leased++
			holders[it.child] = true
		}
	}
	f.Nodes = len(holders)
	if first != nil {
		b.waiting(&f, first, now)
	}
	return f
}

// waiting adds what is known about a unit that waits.
func (b *Board) waiting(f *Facts, it *item, now time.Time) {
	f.Lost = it.failed
	f.Backoff = max(0, it.ready.Sub(now))
	f.Ahead = it.ahead()
	for _, c := range b.children {
		m := b.match.Match(c.ID, &it.Unit, now)
		if !it.isFor(c) || !m.Capable {
			continue
		}
		if m.Resting {
			f.Resting++
			continue
		}
		if _, failed := it.excluded[c.ID]; failed {
			f.Tried++
			continue
		}
		f.Capable++
		if c.credits[classIndex(it.Class)] > 0 && c.hasRoom(it) && !c.silent && !c.paused.After(now) {
			f.Free++
		}
	}
	if f.Capable == 0 && f.Tried == 0 {
		f.Missing = b.explain(it, now)
	}
}

// ahead counts the units of the same bucket that come first: the submitter's own,
// and those of the others whose turns are before.
func (it *item) ahead() int {
	if it.bucket == nil {
		return 0
	}
	own := 0
	for i, other := range it.share.units {
		if i != it.place && it.share.units.Less(i, it.place) && other != it {
			own++
		}
	}
	n := own
	for _, s := range it.bucket.active {
		if s != it.share {
			n += min(len(s.units), own+1)
		}
	}
	return min(n, maxAhead)
}
