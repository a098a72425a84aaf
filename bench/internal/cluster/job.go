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
	text, err := c.post(ctx, c.job, http.StatusOK)
	if err == nil && (!bytes.Contains(text, c.want) || !bytes.Contains(text, []byte(`"proofs":[{`))) {
		err = fmt.Errorf("the gateway answered without the result: %.300s", text)
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

// Cancels submits jobs that would last, one after the other, cancels each when it runs,
// and returns how long each took from that request to the end of its work on a worker.
func (c *Cluster) Cancels(ctx context.Context, jobs int) (measure.Sample, error) {
	c.Lasting(patience)
	defer c.Lasting(0)
	defer c.starts.record()()
	defer c.stops.record()()
	var took []time.Duration
	for range jobs {
		d, err := c.cancel(ctx)
		if err != nil {
			return measure.Sample{}, err
		}
		took = append(took, d)
	}
	return measure.NewSample(took), nil
}

func (c *Cluster) cancel(ctx context.Context) (time.Duration, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	answer, err := c.post(ctx, c.lasting, http.StatusAccepted)
	if err != nil {
		return 0, err
	}
	id, err := taskID(answer)
	if err != nil {
		return 0, err
	}
	if _, err := c.starts.of(ctx, id); err != nil {
		return 0, fmt.Errorf("task %s does not begin: %w", id, err)
	}
	cancel := c.front().client.request(http.MethodPost, "/api/v1/tasks/"+string(id)+"/cancel", nil)
	at := time.Now()
	if _, err := c.post(ctx, cancel, http.StatusOK); err != nil {
		return 0, fmt.Errorf("cancelling task %s: %w", id, err)
	}
	stopped, err := c.stops.of(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("task %s is cancelled and goes on: %w", id, err)
	}
	return stopped.Sub(at), nil
}

// post sends a request whose answer must have a status.
func (c *Cluster) post(ctx context.Context, request []byte, want int) ([]byte, error) {
	status, answer, err := c.front().client.do(ctx, request)
	if err == nil && status != want {
		err = fmt.Errorf("the gateway answered %d: %.300s", status, answer)
	}
	return answer, err
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
