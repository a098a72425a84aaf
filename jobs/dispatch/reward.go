package dispatch

import (
	"sync"
	"time"

	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

// RewardDelay is how long credited work waits for company: one frame carries the
// verdicts, and one signature the receipts, of all results in that time.
const RewardDelay = time.Second

// rewards batches the good verdicts and receipts of one child, off the job's path.
type rewards struct {
	signer keys.Signer
	link   Link

	mu       sync.Mutex
	verdicts []wire.Body // accepted results
	entries  []wire.Reward
	timer    *time.Timer
	closed   bool
}

func newRewards(s keys.Signer, link Link) *rewards { return &rewards{signer: s, link: link} }

// add notes an accepted result and, for work that is paid, its receipt.
func (r *rewards) add(v *wire.JobVerify, paid ...wire.Reward) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.verdicts = append(r.verdicts, v)
	r.entries = append(r.entries, paid...)
	if len(r.verdicts) >= wire.MaxRewards/4 {
		r.send()
	} else if r.timer == nil {
		r.timer = time.AfterFunc(RewardDelay, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.send()
		})
	}
}

// send signs and queues what waits. Called with mu held.
func (r *rewards) send() {
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	if len(r.verdicts) == 0 || r.closed {
		return
	}
	bodies := r.verdicts
	if len(r.entries) > 0 {
		m := &wire.JobReward{Coordinator: r.signer.ID(), Worker: r.link.Peer(), At: time.Now().UTC(), Entries: r.entries}
		if err := wire.SignReward(r.signer, m); err == nil {
			bodies = append(bodies, m)
		}
	}
	r.verdicts, r.entries = nil, nil
	_ = r.link.SendLazy(bodies...)
}

// discard forgets what waits.
func (r *rewards) discard() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verdicts, r.entries = nil, nil
}

func (r *rewards) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.send()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
}
