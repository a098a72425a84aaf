package regional

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/jobs/journal"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/roles/local"
	"github.com/tenzro/tenzro/wire"
)

// books is what a settlement leaves behind, in order, and the receipts.
type books struct {
	mu       sync.Mutex
	lines    []string
	receipts []*wire.JobReward
}

func (b *books) note(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
}

func (b *books) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.lines)
}

// receipt is the only one, of one entry.
func (b *books) receipt(t *testing.T) *wire.JobReward {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.receipts) != 1 || len(b.receipts[0].Entries) != 1 {
		t.Fatalf("receipts %+v", b.receipts)
	}
	return b.receipts[0]
}

// ledger is a Journal that notes what it has recorded, once it is open.
type ledger struct {
	journal.Journal
	books *books
	mu    sync.Mutex
	shut  bool
}

func (l *ledger) End(ctx context.Context, r core.TaskResult, now time.Time) (jobs.Job, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return jobs.Job{}, core.Errorf(core.Exhausted, "journal", "the disk is full")
	}
	job, err := l.Journal.End(ctx, r, now)
	if err == nil {
		l.books.note("recorded")
	}
	return job, err
}

func (l *ledger) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut = false
}

// payee is a real worker that notes the receipts which reach it, their signature
// checked.
type payee struct {
	*local.Tasks
	id    core.NodeID
	books *books
	held  *dispatch.Holdings
}

func newPayee(t *testing.T, b *books) *payee {
	id := identity(1)
	capacity := compute.NewCapacity(core.Resources{Cores: 2, MemoryMB: 4096, FreeCPU: 100, FreeMemoryMB: 4096}, 1)
	engine, err := compute.NewEngine(map[core.TaskType]compute.Executor{vector.Type: vector.New()}, capacity, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := local.New(local.Deps{Signer: id, Engine: engine, Capacity: capacity, Events: event.New(0), Accepts: func() error { return nil }}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	p := &payee{Tasks: tasks, id: id.ID(), books: b}
	p.held = holdingsOf(east, p)
	return p
}

func (p *payee) Credited(from core.NodeID, m *wire.JobReward) {
	p.books.note("receipt")
	p.books.mu.Lock()
	p.books.receipts = append(p.books.receipts, m)
	p.books.mu.Unlock()
	p.Tasks.Credited(from, m)
}

// employ has a leader judge the payee by its reputation and give it work.
func (p *payee) employ(r *rig, reputation *registry.Reputation) {
	r.mu.Lock()
	r.judged = func(child core.NodeID, c dispatch.Conduct, evidence core.Digest) {
		if c != dispatch.Delivered {
			r.t.Errorf("judged by %v", c)
		}
		p.books.note("reputation")
		if _, err := reputation.Apply(child, registry.Change{Delta: registry.Verified, Cause: "verified", Evidence: evidence}, time.Now()); err != nil {
			r.t.Error(err)
		}
	}
	r.mu.Unlock()
	r.below(p.held, ad(r.t, identity(1), nil), jobs.ChildInfo{ID: p.id, Region: east})
}

// TestSettlement walks the whole chain over the real parts: a result that was
// accepted is recorded in the region's journal; then, and not before, the worker is
// owed an entry of a receipt and its reputation moves; the signed receipt reaches
// it, is checked, and counts once. The ledger here is that of a network without a
// token: the journal of the region, and receipts as credits. A result or a receipt
// that is repeated and a leader that takes over, before or after, pay nothing twice.
//
// spec 2.35
func TestSettlement(t *testing.T) {
	for name, leaderDies := range map[string]bool{"one leader": false, "a leader that dies before it is recorded": true} {
		t.Run(name, func(t *testing.T) {
			b := &books{}
			l := &ledger{books: b, shut: true}
			bubbleWith(t, options{journal: func(under journal.Journal) journal.Journal { l.Journal = under; return l }}, func(t *testing.T, r *rig) {
				reputation, p, leader := registry.NewReputation(0), newPayee(t, b), r
				settled := func(when string, lines []string, credits int64, score int) {
					t.Helper()
					time.Sleep(5 * time.Second)
					if got := b.all(); !slices.Equal(got, lines) || p.Credits() != credits || reputation.Score(p.id) != score {
						t.Errorf("%s: %v, %d credits, reputation %d", when, got, p.Credits(), reputation.Score(p.id))
					}
				}
				p.employ(r, reputation)
				r.offer(jobID, sample())
				settled("accepted", nil, 0, registry.StartScore)
				if leaderDies {
					r.depose()
					settle()
					leader = r.successor(2)
					defer leader.stop()
					p.employ(leader, reputation)
					settled("accepted by the next leader", nil, 0, registry.StartScore)
				}
				l.open()
				time.Sleep(time.Minute)
				paid := b.receipt(t)
				if e := paid.Entries[0]; paid.Coordinator != leader.id.ID() || e.TaskID != jobID || e.OutputHash != core.Sum([]byte("55")) || e.Units < 1 {
					t.Errorf("receipt %+v", paid)
				}
				chain, units := []string{"recorded", "reputation", "receipt"}, paid.Entries[0].Units
				settled("recorded", chain, units, registry.StartScore+registry.Verified)
				if got := leader.offer(jobID, sample()).completed(); got != "55" {
					t.Errorf("offered again it gives %s", got)
				}
				settled("offered again", chain, units, registry.StartScore+registry.Verified)
				leader.depose()
				settle()
				last := r.successor(3)
				defer last.stop()
				p.employ(last, reputation)
				if got := last.offer(jobID, sample()).completed(); got != "55" {
					t.Errorf("offered to the last leader it gives %s", got)
				}
				settled("offered to another leader", chain, units, registry.StartScore+registry.Verified)
				p.Credited(leader.id.ID(), paid)
				settled("the receipt once more", append(chain, "receipt"), units, registry.StartScore+registry.Verified)
			})
		})
	}
}
