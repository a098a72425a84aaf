package journal

import (
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

// record is a job as the log and the history hold it, without its data and its
// result, which are the blob. What cannot be told from a zero value is left out.
type record struct {
	ID       core.TaskID     `json:"id"`
	Task     wire.TaskHead   `json:"task"`
	Gateway  core.NodeID     `json:"gateway,omitempty"`
	Regions  []core.RegionID `json:"regions,omitempty"`
	SpecHash core.Digest     `json:"specHash,omitzero"`
	Trace    string          `json:"trace,omitempty"`
	State    jobs.State      `json:"state"`
	Created  time.Time       `json:"created"`
	Updated  time.Time       `json:"updated"`
	Pool     jobs.Pool       `json:"pool,omitempty"`
	Subtasks int             `json:"subtasks,omitempty"`
	Done     int             `json:"done,omitempty"`
	Worth    int64           `json:"worth,omitempty"`
	Partial  float64         `json:"partial,omitempty"`
	Attempts []core.Attempt  `json:"attempts,omitempty"`
	Result   core.TaskResult `json:"result,omitzero"`
}

func recordOf(j jobs.Job) record {
	j.Result.Result = nil
	return record{ID: j.ID, Task: wire.Head(j.Spec), Gateway: j.Gateway, Regions: j.Regions, SpecHash: j.SpecHash, Trace: j.Trace, State: j.State,
		Created: j.Created, Updated: j.Updated, Pool: j.Pool, Subtasks: j.Subtasks, Done: j.Done, Worth: j.Worth, Partial: j.Partial, Attempts: j.Attempts, Result: j.Result}
}

func (r record) job() jobs.Job {
	return jobs.Job{ID: r.ID, Spec: r.Task.Spec(nil), Gateway: r.Gateway, Regions: r.Regions, SpecHash: r.SpecHash, Trace: r.Trace, State: r.State,
		Created: r.Created, Updated: r.Updated, Pool: r.Pool, Subtasks: r.Subtasks, Done: r.Done, Worth: r.Worth, Partial: r.Partial, Attempts: r.Attempts, Result: r.Result}
}
