package dispatch

import (
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
)

// Facts returns where the first n units of a task are, and who could take those
// that wait.
func (d *Dispatcher) Facts(task core.TaskID, n int) jobs.Facts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.board.Facts(task, n, time.Now())
}

// Running returns which of the first n units of a task somebody holds, at most most
// of them.
func (d *Dispatcher) Running(task core.TaskID, n, most int) []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := []int{}
	for i := 0; i < n && len(out) < most; i++ {
		if _, _, held := d.board.Holder(jobs.Key{Task: task, Index: i}); held {
			out = append(out, i)
		}
	}
	return out
}
