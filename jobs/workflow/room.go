package workflow

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/tenzro/tenzro/core"
)

// Room bounds the memory of all runners that share it: what steps read of the
// results before them, and the data of the jobs on their way. Each kind has a
// share of its own, because a step holds what it read while its jobs wait.
type Room struct{ inputs, jobs *semaphore.Weighted }

// roomBytes is the size of each share: a few of the largest tasks, thousands of
// ordinary ones.
const roomBytes = 64 << 20

// NewRoom returns a room of 64 MiB for inputs and as much for jobs.
func NewRoom() *Room {
	return &Room{inputs: semaphore.NewWeighted(roomBytes), jobs: semaphore.NewWeighted(roomBytes)}
}

// take waits for n bytes of one share; the failure is why ctx ended first.
func take(ctx context.Context, share *semaphore.Weighted, n int) *core.Failure {
	if share.Acquire(ctx, int64(n)) != nil {
		return failureOf(context.Cause(ctx))
	}
	return nil
}
