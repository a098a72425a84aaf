package wasm

import (
	"context"
	"time"
)

// Runner runs a handler somewhere it can be killed, and says how that ended.
type Runner interface {
	Run(ctx context.Context, job Job) (Outcome, error)
}

// Job is one call of a handler.
type Job struct {
	Handler string
	Request []byte
	Limits  JobLimits
}

// JobLimits is what a handler's process may use up.
type JobLimits struct {
	Memory    int64 // bytes, all of the process
	CPU, Wall time.Duration
	Output    int64 // bytes
}

// Why a Runner ended a job; empty when the handler answered.
const (
	EndedDeadline  = "deadline"
	EndedCPU       = "cpu_limit"
	EndedMemory    = "memory_limit"
	EndedOutput    = "output_limit"
	EndedCrash     = "crash"
	EndedCancelled = "cancelled"
)

// Outcome is how a job ended.
type Outcome struct {
	Response []byte // when Reason is empty
	Reason   string
	Message  string
}
