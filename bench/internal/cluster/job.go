package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tenzro/tenzro/bench/internal/measure"
	"github.com/tenzro/tenzro/core"
)

// Job submits the job over HTTP and waits for its result, which the region has
// verified against the worker's signature and the gateway again.
func (c *Cluster) Job(ctx context.Context) error {
	_, err := c.submit(ctx)
	return err
}

func (c *Cluster) submit(ctx context.Context) (core.TaskID, error) {
	status, text, err := c.front().client.do(ctx, c.job)
	if err != nil {
		return "", err
	}
	var result struct {
		TaskID core.TaskID       `json:"taskId"`
		Result json.RawMessage   `json:"result"`
		Proofs []json.RawMessage `json:"proofs"`
	}
	if err := json.Unmarshal(text, &result); err != nil {
		return "", err
	}
	if status != http.StatusOK || string(result.Result) != c.cfg.Want || len(result.Proofs) == 0 {
		return "", fmt.Errorf("the gateway answered %d: %.300s", status, text)
	}
	return result.TaskID, nil
}

// Lasting makes every job from now on take d longer, without using the processor.
func (c *Cluster) Lasting(d time.Duration) { c.lasts.Store(int64(d)) }

// Starts submits jobs evenly, perSecond of them, and returns how long each took
// from the request to the moment it began to run on a worker.
func (c *Cluster) Starts(ctx context.Context, perSecond float64, jobs int) (measure.Sample, error) {
	var mu sync.Mutex
	sent := map[core.TaskID]time.Time{}
	stop := c.starts.record()
	err := measure.Paced(ctx, perSecond, jobs, func(ctx context.Context) error {
		at := time.Now()
		id, err := c.submit(ctx)
		mu.Lock()
		defer mu.Unlock()
		sent[id] = at
		return err
	})
	began := stop()
	if err != nil {
		return measure.Sample{}, err
	}
	var took []time.Duration
	for id, at := range sent {
		start, known := began[id]
		if !known {
			return measure.Sample{}, fmt.Errorf("task %s has a result and never began", id)
		}
		took = append(took, start.Sub(at))
	}
	return measure.NewSample(took), nil
}

// tcpAddr is the first address that is plain TCP.
func tcpAddr(addrs []string) string {
	for _, a := range addrs {
		if strings.Contains(a, "/tcp/") && !strings.Contains(a, "/ws") {
			return a
		}
	}
	return ""
}
