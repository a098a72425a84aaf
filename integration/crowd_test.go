package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/p2p"
)

// crowd starts workers in this process, all of which know only the regional
// node's address, until the test ends.
func crowd(t *testing.T, region *testnet.Node, size int) []*testnet.Worker {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	workers := make([]*testnet.Worker, size)
	hosts := make([]*p2p.Host, size)
	t.Cleanup(func() {
		stop()
		running.Wait()
		for _, h := range hosts {
			if h != nil {
				_ = h.Close()
			}
		}
	})
	for i := range workers {
		identity, err := keys.Generate()
		if err == nil {
			hosts[i], err = p2p.New(testnet.HostConfig(identity, region.Runtime.Network, region.Runtime.Bootstrap), nil, zerolog.Nop())
		}
		if err == nil {
			workers[i], err = testnet.NewWorker(testnet.WorkerConfig{Identity: identity, Host: hosts[i],
				Network: region.Runtime.Network, Region: region.Runtime.Region, Slots: 1, Run: vector.New()})
		}
		if err != nil {
			t.Fatalf("worker %d: %v", i, err)
		}
		running.Go(func() { _ = hosts[i].Serve(ctx) })
		running.Go(func() {
			if err := attach(ctx, workers[i], hosts[i], region); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("worker %d: %v", i, err)
			}
		})
	}
	return workers
}

func attach(ctx context.Context, w *testnet.Worker, h *p2p.Host, region *testnet.Node) error {
	if err := h.Connect(ctx, region.Runtime.Bootstrap); err != nil {
		return err
	}
	return w.Serve(ctx, region.ID())
}

// Three hundred workers attach to one regional node as it comes; a host with the
// library's own limits refuses the 253rd. All are seen, and one task is cut into
// pieces for most of them and put together right.
//
// spec 2.46 2.64
func TestWorkers300(t *testing.T) {
	const size = 300
	region := testnet.Run(t, "regional", "--role=regional", "--region", "us-east")
	start := time.Now()
	workers := crowd(t, region, size)
	testnet.Await(t, "the region to have all workers", 2*time.Minute, func() error {
		var state core.RegionalState
		region.Get("/network/state").Is(http.StatusOK).Into(&state)
		if len(state.Nodes) != size {
			return fmt.Errorf("%d of %d are there", len(state.Nodes), size)
		}
		return nil
	})
	t.Logf("%d workers were there after %s", size, time.Since(start).Round(time.Millisecond))
	region.AwaitReady()
	input := numbers(300_000, integers)
	one := completed(t, region, task(input, `["square","sum"]`, 1))
	many := completed(t, region, task(input, `["square","sum"]`, size))
	if !bytes.Equal(one.Result, many.Result) {
		t.Errorf("%d pieces give %s, one gives %s", size, many.Result, one.Result)
	}
	busy := 0
	for _, w := range workers {
		if w.Taken() > 0 {
			busy++
		}
	}
	t.Logf("%d workers took part", busy)
	if busy < size/2 {
		t.Errorf("%d of %d workers took part in a task of as many pieces", busy, size)
	}
}
