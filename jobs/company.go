package jobs

import (
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Units that take less than their way there and back travel together: a frame costs
// two nodes more than a tiny unit does, and a worker has room for several. Four in a
// row, as long as they come within companyTime, go to the child that the first of
// them was placed on.
const (
	tinyWeight  = 100_000 // elementary operations, about a tenth of a millisecond
	company     = 4       // more would make single workers wait while others are idle
	companyTime = 5 * time.Millisecond
)

// companions is the last tiny units that were placed, all of which ask for the same.
type companions struct {
	child *child
	key   bucketKey
	tasks []core.TaskID // two subtasks of one task go to different workers
	since time.Time
}

func tiny(it *item) bool { return it.Class == wire.ClassSubtask && it.Weight <= tinyWeight }

// join returns the child that a unit may travel to with others, nil for none.
func (b *Board) join(it *item, now time.Time) *child {
	with := &b.last
	c := with.child
	if c == nil || !tiny(it) || now.Sub(with.since) > companyTime || len(with.tasks) == company || with.key != keyOf(it) ||
		slices.Contains(with.tasks, it.Key.Task) || c.credits[classIndex(it.Class)] == 0 || b.children[c.ID] != c {
		return nil
	}
	if _, ok := b.fits(c, it, now); !ok {
		return nil
	}
	with.tasks = append(with.tasks, it.Key.Task)
	return c
}

// lead notes that others may join a unit that was placed by itself.
func (b *Board) lead(it *item, c *child, now time.Time) {
	if c != nil && tiny(it) {
		b.last = companions{c, keyOf(it), append(b.last.tasks[:0], it.Key.Task), now}
	}
}
