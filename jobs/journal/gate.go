package journal

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// lingerMost is how long an entry waits for company when entries come in
	// numbers, lingerStep how long none may come until they are sent: longer steps
	// and waits save syncs and cost each job time. An entry that is alone never
	// waits.
	lingerMost = time.Millisecond
	lingerStep = lingerMost / 8
	// company is how many entries at once count as numbers.
	company = 4
	// batchMost and batchBytes bound the entries of one batch. A bigger entry goes
	// alone.
	batchMost  = 256
	batchBytes = 256 << 10
	// gateMost bounds the entries that wait.
	gateMost = 1 << 14
)

// proposal is one entry on its way into the log. It fails with the leadership it
// was made in: whoever leads next, be it this node, would not know of it. done is
// called once with its fate and must not block.
type proposal struct {
	term *term
	data []byte
	done func(error)
}

// gate makes batches of the entries that one process proposes: raft handles,
// writes and syncs each as one entry. One batch is under way at a time; what
// arrives meanwhile is the next.
type gate struct {
	apply func([]byte) (any, error) // has one entry committed and returns the state machine's answer
	wake  chan struct{}             // something waits

	mu      sync.Mutex
	waiting []*proposal
	shut    bool
}

func newGate(apply func([]byte) (any, error)) *gate {
	return &gate{apply: apply, wake: make(chan struct{}, 1)}
}

// applyTo commits entries with r, waiting at most so long for room in its queue.
func applyTo(r *raft.Raft, wait time.Duration) func([]byte) (any, error) {
	return func(data []byte) (any, error) {
		f := r.Apply(data, wait)
		if err := f.Error(); err != nil {
			return nil, err
		}
		return f.Response(), nil
	}
}

// put adds an entry to the next batch. It is an error when done will not be
// called.
func (g *gate) put(p *proposal) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.shut:
		return raft.ErrRaftShutdown
	case len(g.waiting) >= gateMost:
		return raft.ErrEnqueueTimeout
	}
	g.waiting = append(g.waiting, p)
	select {
	case g.wake <- struct{}{}:
	default:
	}
	return nil
}

// withdraw takes an entry back that has not left yet and reports whether it had
// not.
func (g *gate) withdraw(p *proposal) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, w := range g.waiting {
		if w == p {
			g.waiting = slices.Delete(g.waiting, i, i+1)
			return true
		}
	}
	return false
}

// serve sends batches until ctx ends; what waits then fails.
func (g *gate) serve(ctx context.Context) error {
	defer g.close()
	last := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.wake:
		}
		for n := g.size(); n > 0 && ctx.Err() == nil; n = g.size() {
			if max(n, last) >= company {
				g.linger(ctx, n)
			}
			batch, late := g.take()
			tell(late, raft.ErrLeadershipLost)
			if last = len(batch); last > 0 {
				g.send(batch)
			}
		}
	}
}

func (g *gate) size() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// linger waits as long as entries keep coming.
func (g *gate) linger(ctx context.Context, n int) {
	step := time.NewTicker(lingerStep)
	defer step.Stop()
	for range lingerMost / lingerStep {
		select {
		case <-ctx.Done():
			return
		case <-step.C:
		}
		now := g.size()
		if now == n || now >= batchMost {
			return
		}
		n = now
	}
}

// take returns the entries of the next batch, the oldest first, and those whose
// leadership is over.
func (g *gate) take() (batch, late []*proposal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, bytes := 0, 0
	for ; n < len(g.waiting) && len(batch) < batchMost; n++ {
		p := g.waiting[n]
		if p.term.ctx.Err() != nil {
			late = append(late, p)
			continue
		}
		if bytes += len(p.data); len(batch) > 0 && bytes > batchBytes {
			break
		}
		batch = append(batch, p)
	}
	g.waiting = slices.Delete(g.waiting, 0, n)
	return batch, late
}

// send has a batch committed and tells everybody how their entry fared.
func (g *gate) send(batch []*proposal) {
	data, err := joinEntries(batch)
	if err != nil {
		tell(batch, err)
		return
	}
	answers, err := g.apply(data)
	if err != nil {
		tell(batch, err)
		return
	}
	switch answer := answers.(type) {
	case nil:
		tell(batch, nil)
	case error:
		tell(batch, answer)
	case []error:
		for i, p := range batch {
			p.done(answer[i])
		}
	}
}

// joinEntries is one entry that holds a batch's.
func joinEntries(batch []*proposal) ([]byte, error) {
	if len(batch) == 1 {
		return batch[0].data, nil
	}
	entries := make([][]byte, len(batch))
	for i, p := range batch {
		entries[i] = p.data
	}
	return encodeBatch(entries)
}

// tell gives all entries of a batch one fate.
func tell(batch []*proposal, err error) {
	for _, p := range batch {
		p.done(err)
	}
}

// close fails what waits and lets nothing in any more.
func (g *gate) close() {
	g.mu.Lock()
	rest := g.waiting
	g.waiting, g.shut = nil, true
	g.mu.Unlock()
	tell(rest, raft.ErrRaftShutdown)
}
