package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// BenchmarkUnit is one unit's life on a board: add, offer, accept, result, done
// and the next credit. It must not grow with the number of nodes, nor with work
// that waits because nobody can do it.
func BenchmarkUnit(b *testing.B) {
	for _, waiting := range []int{0, 100} {
		for _, children := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("children=%d/waiting=%d", children, waiting), func(b *testing.B) { benchUnit(b, children, waiting) })
		}
	}
}

func benchUnit(b *testing.B, children, waiting int) {
	now := time.Unix(1e9, 0)
	board := NewBoard(Limits{}, world{}, 1)
	for i := range children {
		id := core.NodeID(fmt.Sprintf("w%d", i))
		board.Join(ChildInfo{ID: id, CPU: 100, MemoryMB: 1000})
		board.Grant(id, wire.ClassSubtask, 8, now)
	}
	for i := range waiting { // each asks for something else that nobody has
		u := Unit{Key: Key{Task: "w", Index: i}, Class: wire.ClassSubtask, Deadline: now.Add(time.Hour), QueueUntil: now.Add(time.Hour)}
		u.Head.Requirements.MemoryMB = int64(2000 + i)
		if err := board.Add(u, now); err != nil {
			b.Fatal(err)
		}
	}
	u := Unit{Class: wire.ClassSubtask, Deadline: now.Add(time.Hour), QueueUntil: now.Add(time.Minute)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		u.Key = Key{Task: "t", Index: i}
		if err := board.Add(u, now); err != nil {
			b.Fatal(err)
		}
		o := board.Effects()[0].Offer
		board.Accepted(o.Child, o.Lease, now)
		board.Resulted(o.Child, o.Lease, now)
		if !board.Done(u.Key, now) {
			b.Fatal("not done")
		}
		board.Grant(o.Child, wire.ClassSubtask, 1, now)
	}
}
