package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// TestTinyUnitsTravelTogether: subtasks that take less than their way to a worker go
// there four at a time, unless they belong to one task, are not tiny, or come too
// far apart.
func TestTinyUnitsTravelTogether(t *testing.T) {
	for _, c := range []struct {
		name   string
		tasks  []core.TaskID
		weight int64
		class  wire.Class
		apart  time.Duration
		want   []int // how many in a row go to one child
	}{
		{"tiny ones of different tasks", []core.TaskID{"a", "b", "c", "d", "e", "f"}, 1, wire.ClassSubtask, time.Millisecond, []int{4, 2}},
		{"of two tasks in turn", []core.TaskID{"a", "b", "a", "b"}, 1, wire.ClassSubtask, time.Millisecond, []int{2, 2}},
		{"of one task", []core.TaskID{"a", "a", "a"}, 1, wire.ClassSubtask, time.Millisecond, []int{1, 1, 1}},
		{"large ones", []core.TaskID{"a", "b", "c"}, tinyWeight + 1, wire.ClassSubtask, time.Millisecond, []int{1, 1, 1}},
		{"whole jobs", []core.TaskID{"a", "b", "c"}, 1, wire.ClassJob, time.Millisecond, []int{1, 1, 1}},
		{"one after the other", []core.TaskID{"a", "b", "c"}, 1, wire.ClassSubtask, companyTime + 1, []int{1, 1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Unix(1e9, 0)
			b := NewBoard(Limits{}, world{}, 1)
			for i := range 1000 { // by chance two in a row come to one child once in a thousand times
				id := core.NodeID(fmt.Sprintf("w%d", i))
				b.Join(ChildInfo{ID: id})
				b.Grant(id, c.class, 4, now)
			}
			var got []int
			var last core.NodeID
			for i, task := range c.tasks {
				u := Unit{Key: Key{Task: task, Index: i}, Class: c.class, Weight: c.weight, Deadline: now.Add(time.Hour), QueueUntil: now.Add(time.Hour)}
				if err := b.Add(u, now); err != nil {
					t.Fatal(err)
				}
				child := b.Effects()[0].Offer.Child
				if child != last {
					got = append(got, 0)
				}
				got[len(got)-1]++
				last, now = child, now.Add(c.apart)
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("in a row %v, want %v", got, c.want)
			}
		})
	}
}
