package dispatch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

// record is what the coordinators of a region agree on: which units are open.
type record struct {
	mu   sync.Mutex
	open map[jobs.Key]jobs.Unit
	done map[jobs.Key]int
}

// scribe is an owner that records for one coordinator, as long as that lives.
type scribe struct {
	*record
	dead bool // guarded by record.mu
}

func (s *scribe) Started(jobs.Key, core.NodeID, int) {}

func (s *scribe) Verify(u *jobs.Unit, child core.NodeID, r *wire.JobResult, output []byte) error {
	return jobs.VerifyProof(keys.NewProofVerifier(), u, child, r, output, time.Now())
}

func (s *scribe) Done(u *jobs.Unit, _ core.NodeID, _ *wire.JobResult, _ []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dead {
		delete(s.open, u.Key)
		s.done[u.Key]++
	}
}

func (s *scribe) Ended(u *jobs.Unit, f *core.Failure) { panic(fmt.Sprintf("unit %v: %v", u.Key, f)) }

// TestLeadersComeAndGo: leaders die, step down and come back at random under
// load. Nothing is lost, and nothing that a worker had taken runs a second time.
//
// spec 2.1 2.5
func TestLeadersComeAndGo(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			overEachLink(t, func(t *testing.T, r *rig) { comeAndGo(t, r, rand.New(rand.NewPCG(seed, 2))) })
		})
	}
}

func comeAndGo(t *testing.T, r *rig, rnd *rand.Rand) {
	const coordinators, workers, rounds, perRound = 3, 4, 10, 25
	rec := &record{open: map[jobs.Key]jobs.Unit{}, done: map[jobs.Key]int{}}
	all, scribes := make([]*leader, coordinators), make([]*scribe, coordinators)
	hands := make([]*member, workers)
	links := make([][]Link, coordinators)
	start := func(c int) {
		all[c], scribes[c], links[c] = r.leader(byte(100+c)), &scribe{record: rec}, nil
		for _, w := range hands {
			links[c] = append(links[c], w.joins(all[c]))
		}
	}
	for n := range hands {
		hands[n] = r.member(byte(n+1), 4)
		hands[n].run = busy(hands[n], rnd.Uint64())
	}
	for c := range all {
		start(c)
	}
	crash := func(c int) {
		rec.mu.Lock()
		scribes[c].dead = true
		rec.mu.Unlock()
		for _, l := range links[c] {
			_ = l.Close()
		}
		all[c].kill()
		synctest.Wait()
	}
	for round := range rounds {
		c := rnd.IntN(coordinators)
		all[c].lead(uint64(round + 1))
		rec.mu.Lock()
		resumed := make([]jobs.Unit, 0, len(rec.open))
		for _, u := range rec.open {
			resumed = append(resumed, u)
		}
		rec.mu.Unlock()
		for _, u := range resumed {
			if err := all[c].d.Resume(u, scribes[c]); err != nil {
				t.Fatal(err)
			}
		}
		all[c].d.Resumed(nil)
		for i := range perRound {
			u := unit(round*perRound + i)
			rec.mu.Lock()
			rec.open[u.Key] = u
			rec.mu.Unlock()
			if err := all[c].d.Submit(u, scribes[c]); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Duration(rnd.IntN(4000)) * time.Millisecond)
		switch {
		case round == rounds-1:
		case rnd.IntN(2) == 0:
			all[c].d.Retire()
		default:
			crash(c)
			start(c)
		}
		if round < rounds-1 {
			time.Sleep(time.Duration(rnd.IntN(5000)) * time.Millisecond)
		}
	}
	settle(5 * time.Minute)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	runs := 0
	for _, w := range hands {
		w.idle()
		for data, n := range w.runs {
			if runs += n; n != 1 {
				t.Errorf("%s ran %d times on one worker", data, n)
			}
		}
	}
	if len(rec.open) != 0 || len(rec.done) != rounds*perRound || runs != rounds*perRound {
		t.Errorf("%d units are open, %d done, of %d; they ran %d times", len(rec.open), len(rec.done), rounds*perRound, runs)
	}
}

// busy works for up to three seconds.
func busy(m *member, seed uint64) func(context.Context, []byte, func(float64)) *wire.JobResult {
	rnd := rand.New(rand.NewPCG(seed, 3))
	return func(ctx context.Context, data []byte, progress func(float64)) *wire.JobResult {
		m.lock.Lock()
		took := time.Duration(rnd.IntN(3000)) * time.Millisecond
		m.lock.Unlock()
		select {
		case <-time.After(took):
		case <-ctx.Done():
		}
		return m.work(ctx, data, progress)
	}
}
