package durable_test

import (
	"context"
	"testing"
	"time"

	"github.com/tenzro/tenzro/bench/internal/durable"
	"github.com/tenzro/tenzro/core"
)

// TestJob: a job that was acknowledged is there, and final, when the directory is
// opened again.
func TestJob(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	r, err := durable.Open(ctx, dir, "a")
	if err != nil {
		t.Fatal(err)
	}
	id, err := r.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err = durable.Open(ctx, dir, "b"); err != nil {
		t.Fatal(err)
	}
	if j, err := r.Get(id); err != nil || j.State.Task() != core.TaskCompleted {
		t.Errorf("%+v, %v", j, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
