package cluster

import (
	"bytes"
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

// submit returns the answer, in which the result and a proof were found. It is
// looked through and not decoded: what the client does counts as the job's cost.
func (c *Cluster) submit(ctx context.Context) ([]byte, error) {
	status, text, err := c.front().client.do(ctx, c.job)
	if err == nil && (status != http.StatusOK || !bytes.Contains(text, c.want) || !bytes.Contains(text, []byte(`"proofs":[{`))) {
		err = fmt.Errorf("the gateway answered %d: %.300s", status, text)
	}
	return text, err
}

// taskID is what an answer says it is about.
func taskID(answer []byte) (core.TaskID, error) {
	var result struct {
		TaskID core.TaskID `json:"taskId"`
	}
	err := json.Unmarshal(answer, &result)
	return result.TaskID, err
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
		answer, err := c.submit(ctx)
		if err != nil {
			return err
		}
		id, err := taskID(answer)
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
