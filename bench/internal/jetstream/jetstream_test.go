package jetstream_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/tenzro/tenzro/bench/internal/jetstream"
	"github.com/tenzro/tenzro/bench/internal/measure"
	"github.com/tenzro/tenzro/bench/internal/tiny"
)

// TestPublish: a message is acknowledged by a server that syncs.
func TestPublish(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := jetstream.Start(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := r.Publish(ctx); err != nil {
			t.Error(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// TestQueue: a job comes back computed, signed and verified, and a wrong result is
// an error.
func TestQueue(t *testing.T) {
	for want, good := range map[string]bool{tiny.Result: true, "56": false} {
		q, err := jetstream.StartQueue(t.Context(), t.TempDir(), 2, 2, json.RawMessage(tiny.Data), want)
		if err != nil {
			t.Fatal(err)
		}
		_, err = measure.Run(t.Context(), 8, 40, 0, q.Job)
		if (err == nil) != good {
			t.Errorf("want %s: %v", want, err)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}
