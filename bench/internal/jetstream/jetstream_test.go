package jetstream_test

import (
	"context"
	"testing"
	"time"

	"github.com/tenzro/tenzro/bench/internal/jetstream"
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
