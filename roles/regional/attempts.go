package regional

import (
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
)

var (
	_ dispatch.LossWatcher = (*execution)(nil)
	_ dispatch.Recorder    = (*execution)(nil)
	_ dispatch.Recorder    = (*relay)(nil)
)

// Lost implements dispatch.LossWatcher: the record of attempts shows how each
// ended.
func (x *execution) Lost(l *jobs.Loss) { x.closeAttempt(l.Unit.Key, l.Child, string(l.Reason)) }
