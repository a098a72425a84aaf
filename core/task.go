package core

import (
	"encoding/json"
	"time"
)

// Bounds of a task. MaxTaskBytes is the body a gateway reads and the largest
// payload that crosses the network.
const (
	MaxTaskBytes        = 10 << 20
	MaxParallelism      = 4096
	DefaultQueueTimeout = 30 * time.Second
	DefaultTimeout      = 10 * time.Minute
	MaxTimeout          = 24 * time.Hour
	MaxPriority         = 10 // and -MaxPriority the least
	MaxSubmitter        = 64 // bytes of a submitter's name
)

// Anonymous is the submitter of tasks that came without a token.
const Anonymous = "anonymous"

// TaskType names the engine that runs a task, for example "compute".
type TaskType string

// TaskSpec is what a user submits: immutable once accepted. Data belongs to the
// engine of Type; core never looks inside.
type TaskSpec struct {
	Type         TaskType        `json:"type"`
	Requirements Requirements    `json:"requirements"`
	Data         json.RawMessage `json:"data"`
	// Parallelism asks for this many subtasks at least, if the input allows; 0
	// lets the planner decide from the input's size.
	Parallelism int `json:"parallelism,omitempty"`
	// QueueTimeoutMS is how long the task may wait for somebody able to run it;
	// 0 = DefaultQueueTimeout.
	QueueTimeoutMS int64 `json:"queueTimeoutMs,omitempty"`
	// TimeoutMS is the deadline of the whole task from its acceptance; 0 =
	// DefaultTimeout, unless Deadline is given.
	TimeoutMS int64 `json:"timeoutMs,omitempty"`
	// Priority orders the tasks of one submitter, higher first: -MaxPriority to
	// MaxPriority. It takes nothing from other submitters.
	Priority int `json:"priority,omitempty"`
	// Deadline is when the task expires, instead of TimeoutMS; zero = none is given.
	Deadline time.Time `json:"deadline,omitzero"`
	// Submitter is who the API says handed it in: a token's name, or Anonymous. No
	// client can set it.
	Submitter string `json:"-"`
}

// Validate checks everything but Data, naming the field that is wrong.
func (s TaskSpec) Validate() error {
	if !validName(string(s.Type), 32) {
		return Errorf(Invalid, "type", "type %.40q must be 1 to 32 characters of A-Z, a-z, 0-9, '_' and '-'", s.Type)
	}
	if len(s.Data) == 0 || string(s.Data) == "null" {
		return Errorf(Invalid, "data", "data is missing")
	}
	if s.Parallelism < 0 || s.Parallelism > MaxParallelism {
		return Errorf(Invalid, "parallelism", "parallelism is %d; it must be 0 to %d", s.Parallelism, MaxParallelism)
	}
	if err := validTimeout("queueTimeoutMs", s.QueueTimeoutMS); err != nil {
		return err
	}
	if err := validTimeout("timeoutMs", s.TimeoutMS); err != nil {
		return err
	}
	if s.TimeoutMS != 0 && !s.Deadline.IsZero() {
		return Errorf(Invalid, "deadline", "timeoutMs and deadline are both given").WithHint("give one of them")
	}
	if s.Priority < -MaxPriority || s.Priority > MaxPriority {
		return Errorf(Invalid, "priority", "priority is %d; it must be %d to %d", s.Priority, -MaxPriority, MaxPriority)
	}
	if len(s.Submitter) > MaxSubmitter {
		return Errorf(Invalid, "submitter", "submitter has %d bytes; at most %d", len(s.Submitter), MaxSubmitter)
	}
	return s.Requirements.Validate()
}

// CheckDeadline refuses a deadline that no task can meet. Only who takes a task
// from its user asks: to everybody behind him a late task is late, not wrong.
func (s TaskSpec) CheckDeadline(now time.Time) error {
	switch {
	case s.Deadline.IsZero():
		return nil
	case !now.Before(s.Deadline):
		return Errorf(Invalid, "deadline", "deadline %s has passed", s.Deadline.UTC().Format(time.RFC3339)).
			WithHint("give a time in the future, or timeoutMs")
	case s.Deadline.After(now.Add(MaxTimeout)):
		return Errorf(Invalid, "deadline", "deadline %s is more than %s away", s.Deadline.UTC().Format(time.RFC3339), MaxTimeout).
			WithHint("split the work into shorter tasks")
	}
	return nil
}

func validTimeout(field string, ms int64) error {
	if ms < 0 || ms > MaxTimeout.Milliseconds() {
		return Errorf(Invalid, field, "%s is %d; it must be 0 to %d", field, ms, MaxTimeout.Milliseconds())
	}
	return nil
}

// QueueTimeout returns the wait allowed for a capable worker, default applied.
func (s TaskSpec) QueueTimeout() time.Duration {
	return orDefault(s.QueueTimeoutMS, DefaultQueueTimeout)
}

// Timeout returns the deadline relative to acceptance, default applied; Deadline
// overrules it, see Until.
func (s TaskSpec) Timeout() time.Duration { return orDefault(s.TimeoutMS, DefaultTimeout) }

// Until returns when a task that was accepted at a time expires: never later
// than MaxTimeout after it.
func (s TaskSpec) Until(accepted time.Time) time.Time {
	if s.Deadline.IsZero() {
		return accepted.Add(s.Timeout())
	}
	if latest := accepted.Add(MaxTimeout); s.Deadline.After(latest) {
		return latest
	}
	return s.Deadline
}

func orDefault(ms int64, d time.Duration) time.Duration {
	if ms == 0 {
		return d
	}
	return time.Duration(ms) * time.Millisecond
}

// TaskState is a task's life as its submitter sees it. The job's finer states
// are in package jobs.
type TaskState string

// The states. Every one after TaskRunning is final.
const (
	TaskPending   TaskState = "pending"
	TaskRunning   TaskState = "running"
	TaskCompleted TaskState = "completed"
	TaskFailed    TaskState = "failed"
	TaskCancelled TaskState = "cancelled"
	TaskExpired   TaskState = "expired"
)

// Final reports whether the state can never change again.
func (s TaskState) Final() bool { return s != TaskPending && s != TaskRunning }

// Reason is why a task did not complete: a closed set of snake_case words.
type Reason string

// The reasons.
const (
	ReasonNoCapableWorker   Reason = "no_capable_worker"  // nobody that meets the requirements in queueTimeout
	ReasonDeadline          Reason = "deadline"           // timeoutMs or deadline passed
	ReasonCancelled         Reason = "cancelled"          // the submitter said so
	ReasonInvalidInput      Reason = "invalid_input"      // the engine refused the data
	ReasonOverflow          Reason = "overflow"           // a value left the range of its type
	ReasonExecutionFailed   Reason = "execution_failed"   // the engine failed on good input
	ReasonAttemptsExhausted Reason = "attempts_exhausted" // every attempt was lost or refused
	ReasonInternal          Reason = "internal"           // a bug; the message says where
)

// Failure is the terminal reason of a task that did not complete, for people
// and for programs.
type Failure struct {
	Reason  Reason `json:"reason"`
	Message string `json:"message"`
}

// Error makes a Failure travel as an error.
func (f *Failure) Error() string { return string(f.Reason) + ": " + f.Message }

// Attempt is one try by one worker at one subtask.
type Attempt struct {
	Index    int       `json:"index"`   // subtask number, from 0
	Attempt  int       `json:"attempt"` // from 1
	Worker   NodeID    `json:"worker"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished,omitzero"`
	Outcome  string    `json:"outcome,omitempty"` // "ok" or a reason; empty while running
}

// TaskStatus is a snapshot of a task.
type TaskStatus struct {
	TaskID    TaskID    `json:"taskId"`
	Status    TaskState `json:"status"`
	Progress  float64   `json:"progress"` // finished share of the subtasks, 0..1
	Type      TaskType  `json:"type"`
	Region    RegionID  `json:"region"`
	Gateway   NodeID    `json:"gateway,omitempty"`
	Subtasks  int       `json:"subtasks"`
	Created   time.Time `json:"created"`
	Updated   time.Time `json:"updated"`
	Failure   *Failure  `json:"failure,omitempty"`
	Attempts  []Attempt `json:"attempts,omitempty"` // the last MaxAttemptsShown
	ResultLen int       `json:"resultBytes,omitempty"`
}

// MaxAttemptsShown bounds the attempts kept and shown per task.
const MaxAttemptsShown = 64

// TaskResult is a task's end: the value, who computed it, and the evidence.
type TaskResult struct {
	TaskID  TaskID          `json:"taskId"`
	Status  TaskState       `json:"status"`
	Result  json.RawMessage `json:"result,omitempty"`
	Failure *Failure        `json:"failure,omitempty"`
	Regions []RegionID      `json:"regions,omitempty"` // where it was computed
	Workers []NodeID        `json:"workers,omitempty"` // who computed it, each once
	// Proofs: the first ties the whole input to the result, by the one worker or by
	// the region that merged; for several subtasks theirs follow, in order.
	Proofs []Proof `json:"proofs,omitempty"` // at most MaxProofsShown places
}

// FailedFor is the result of a task that failed for a reason.
func FailedFor(id TaskID, reason Reason, message string) TaskResult {
	return TaskResult{TaskID: id, Status: TaskFailed, Failure: &Failure{Reason: reason, Message: message}}
}
