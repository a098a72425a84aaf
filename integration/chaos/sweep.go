package chaos

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/tenzro/tenzro/integration/history"
)

const (
	// newest is how far back a network must remember, swept how many of those jobs
	// are asked for at every gateway.
	newest = 8_000
	swept  = 2_000
	// repeated is how many keys are used once more.
	repeated = 100
	askers   = 16
	// sweepLimit is how long a gateway may take to answer for one job, with all
	// faults over.
	sweepLimit = 30 * time.Second
)

// sweep asks every gateway once more for the end of jobs, and submits some of
// them again: nothing may have changed.
func (a *Arena) sweep(ctx context.Context, o Options) {
	jobs := a.sample(swept)
	a.logf("asking every gateway again for %d jobs", len(jobs))
	a.each(jobs, func(j *Job) {
		for _, g := range a.Net.Of(Gateway) {
			if g.Up() {
				a.again(ctx, g, j)
			}
		}
	})
	a.each(jobs[:min(len(jobs), repeated)], func(j *Job) {
		for _, g := range a.Net.Of(Gateway) {
			if g.Up() && (o.AnyGateway || g == j.by && g.Life() == j.life) {
				a.repeat(ctx, g, j)
			}
		}
	})
}

// sample returns acknowledged jobs in random order, of the newest.
func (a *Arena) sample(n int) (jobs []*Job) {
	for _, j := range a.loader.all() {
		if j.Task != "" {
			jobs = append(jobs, j)
		}
	}
	jobs = jobs[max(0, len(jobs)-newest):]
	a.Rand.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
	return jobs[:min(n, len(jobs))]
}

func (a *Arena) each(jobs []*Job, do func(*Job)) {
	queue := make(chan *Job)
	var g sync.WaitGroup
	for range askers {
		g.Go(func() {
			for j := range queue {
				do(j)
			}
		})
	}
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	g.Wait()
}

// again asks a gateway how a job ended.
func (a *Arena) again(ctx context.Context, g *Node, j *Job) {
	end := time.Now().Add(sweepLimit)
	for {
		status, result, err := g.result(ctx, j.Task, 0)
		why := fmt.Sprintf("answers %d", status)
		if err != nil {
			why = err.Error()
		}
		switch {
		case err == nil && status == http.StatusOK:
			a.log.Add(endOf(j, g, result))
			return
		case !j.ended: // that it never ended is judged already
			return
		}
		if time.Now().After(end) || !pause(ctx, 4*backOff) {
			if ctx.Err() == nil {
				a.log.Add(history.Event{Kind: history.Unknown, Key: j.Key, Task: j.Task, Node: g.Name, Note: why})
			}
			return
		}
	}
}

// repeat submits a job once more with its key: a client that did not hear the
// answer does that.
func (a *Arena) repeat(ctx context.Context, g *Node, j *Job) {
	status, id, _, err := g.submit(ctx, j.Key, j.body)
	if err == nil && status/100 == 2 {
		a.log.Add(history.Event{Kind: history.Acked, Key: j.Key, Task: id, Node: g.Name})
	}
}
