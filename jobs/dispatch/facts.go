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
