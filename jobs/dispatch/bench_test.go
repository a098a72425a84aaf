package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/wire"
)

// signal is an Owner that says when its unit is over.
type signal chan error

func (s signal) Started(jobs.Key, core.NodeID, int) {}

func (s signal) Verify(u *jobs.Unit, child core.NodeID, r *wire.JobResult, output []byte) error {
	return jobs.VerifyProof(keys.NewProofVerifier(), u, child, r, output, time.Now())
}

func (s signal) Done(_ *jobs.Unit, _ core.NodeID, r *wire.JobResult, _ []byte) {
	if r.Failure != nil {
		s <- r.Failure
		return
	}
	s <- nil
}

func (s signal) Ended(_ *jobs.Unit, f *core.Failure) { s <- f }

// BenchmarkUnit is one signed and verified unit from Submit to Done over one hop,
// alone and with others in flight. Two Ed25519 operations are in it.
func BenchmarkUnit(b *testing.B) {
	for _, flight := range []int{1, 64} {
		for name, link := range linkKinds() {
			b.Run(fmt.Sprintf("%s/flight=%d", name, flight), func(b *testing.B) { benchUnit(b, link, flight) })
		}
	}
}

func benchUnit(b *testing.B, link func(a, b core.NodeID) (Link, Link), flight int) {
	ctx, cancel := context.WithCancel(context.Background())
	net, id, w := &fakeNet{}, identity(100), newWorker(1)
	d := New(Config{Name: "bench", Signer: id, Match: everybody{}, Blobs: net.node(id.ID())}, zerolog.Nop())
	here, there := link(id.ID(), w.id.ID())
	size := func(c wire.Class) int { return map[wire.Class]int{wire.ClassSubtask: flight}[c] }
	p := NewPuller(there, w, Window{Size: size, Free: func() (int, int64) { return 0, 0 }}, net.node(w.id.ID()), nil, zerolog.Nop())
	ended := make(chan struct{}, 3)
	for _, run := range []func(){
		func() { _ = d.Serve(ctx) },
		func() { _ = d.Attach(ctx, here, jobs.ChildInfo{ID: w.id.ID()}, nil) },
		func() { _ = p.Serve(ctx) },
	} {
		go func() {
			run()
			ended <- struct{}{}
		}()
	}
	defer func() {
		cancel()
		for range 3 {
			<-ended
		}
	}()
	data := json.RawMessage(`{"input":[1,2,3,4,5],"operations":["square","sum"]}`)
	hash, over, open := jobs.InputHash(data), make(signal, flight), 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		u := jobs.Unit{Key: jobs.Key{Task: core.TaskID(fmt.Sprint("t", i))}, Class: wire.ClassSubtask, Head: wire.TaskHead{Type: "compute"},
			Data: data, InputHash: hash, Weight: 1, QueueUntil: time.Now().Add(time.Minute), Deadline: time.Now().Add(time.Minute)}
		if err := d.Submit(u, over); err != nil {
			b.Fatal(err)
		}
		if open++; open == flight {
			if err := <-over; err != nil {
				b.Fatal(err)
			}
			open--
		}
	}
	for range open {
		<-over
	}
}
