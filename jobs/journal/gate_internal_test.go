package journal

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// slowLog is what a gate under test writes to: it takes its time for each batch,
// as a disk does, and remembers what came when.
type slowLog struct {
	takes time.Duration
	// answer is the state machine's, or the log's error, to batches with company; nil
	// for none.
	answer func() (any, error)

	began   time.Time
	batches []int           // entries of each batch
	at      []time.Duration // when each came
	order   []byte          // the last byte of every entry
}

func (l *slowLog) apply(data []byte) (any, error) {
	e, err := splitEntry(data)
	if err != nil {
		return nil, err
	}
	entries, err := e.entries(data)
	if err != nil {
		return nil, err
	}
	l.batches = append(l.batches, len(entries))
	l.at = append(l.at, time.Since(l.began))
	for _, one := range entries {
		l.order = append(l.order, one[len(one)-1])
	}
	time.Sleep(l.takes)
	if l.answer == nil || len(entries) == 1 {
		return nil, nil
	}
	return l.answer()
}

// gateRig is a gate on virtual time, its log, and one leadership.
type gateRig struct {
	*slowLog
	t     *testing.T
	gate  *gate
	term  *term
	fates chan error
	stop  func() // ends the gate and waits for it
}

// withGate runs f beside a gate that serves, and the gate's end after it.
func withGate(t *testing.T, l *slowLog, f func(*gateRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		lead, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := &gateRig{slowLog: l, t: t, gate: newGate(l.apply), term: &term{ctx: lead, cancel: cancel}, fates: make(chan error, 2*gateMost)}
		l.began = time.Now()
		served := make(chan error, 1)
		go func() { served <- r.gate.serve(ctx) }()
		r.stop = sync.OnceFunc(func() { stop(); <-served })
		synctest.Wait()
		f(r)
		r.stop()
	})
}

// put proposes an entry whose payload has so many bytes, all of them id.
func (r *gateRig) put(id byte, size int) *proposal {
	r.t.Helper()
	data, err := appendEntry(nil, entryPart, struct{}{}, bytes.Repeat([]byte{id}, size))
	if err != nil {
		r.t.Fatal(err)
	}
	p := &proposal{term: r.term, data: data, done: func(err error) { r.fates <- err }}
	if err := r.gate.put(p); err != nil {
		r.t.Fatal(err)
	}
	return p
}

// busy keeps the log at work with one entry, so that what is put next waits.
func (r *gateRig) busy() {
	r.put(0, 1)
	synctest.Wait()
}

// want takes as many fates as there are wanted, in order.
func (r *gateRig) want(fates ...error) {
	r.t.Helper()
	for i, want := range fates {
		if got := <-r.fates; !errors.Is(got, want) {
			r.t.Errorf("entry %d: got %v, want %v", i, got, want)
		}
	}
}

// TestGateSendsOneAlone: an entry without company leaves at once.
func TestGateSendsOneAlone(t *testing.T) {
	withGate(t, &slowLog{takes: time.Millisecond}, func(r *gateRig) {
		r.put(1, 1)
		r.want(nil)
		r.put(2, 1)
		r.want(nil)
		if want := []time.Duration{0, time.Millisecond}; !reflect.DeepEqual(r.at, want) {
			t.Errorf("sent at %v, want %v", r.at, want)
		}
	})
}

// TestGateBatches: what arrives while a batch is under way is the next one, in
// the order it came, within the bounds.
func TestGateBatches(t *testing.T) {
	const kib = 1 << 10
	for name, c := range map[string]struct {
		sizes []int // bytes of each entry
		want  []int // entries of each batch, after the one that keeps the log busy
	}{
		"two":                {[]int{1, 1}, []int{2}},
		"as many as allowed": {make([]int, batchMost), []int{batchMost}},
		"one more":           {make([]int, batchMost+1), []int{batchMost, 1}},
		"by bytes":           {[]int{100 * kib, 100 * kib, 100 * kib}, []int{2, 1}},
		"a big one alone":    {[]int{1, 1 << 20, 1}, []int{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			withGate(t, &slowLog{takes: 10 * time.Millisecond}, func(r *gateRig) {
				r.busy()
				var order []byte
				for i, size := range c.sizes {
					r.put(byte(i), max(size, 1))
					order = append(order, byte(i))
				}
				r.want(make([]error, 1+len(c.sizes))...)
				if !reflect.DeepEqual(r.batches[1:], c.want) || !bytes.Equal(r.order[1:], order) {
					t.Errorf("batches of %v, want %v; order kept: %t", r.batches[1:], c.want, bytes.Equal(r.order[1:], order))
				}
			})
		})
	}
}

// TestGateLingers: where there is company, entries that keep coming are waited
// for, but never longer than lingerMost.
func TestGateLingers(t *testing.T) {
	const apart = lingerStep / 2
	for name, c := range map[string]struct {
		more int // entries that come one by one after the company
		want time.Duration
	}{
		"nothing more comes": {0, lingerStep},
		"more keep coming":   {100, lingerMost},
	} {
		t.Run(name, func(t *testing.T) {
			withGate(t, &slowLog{takes: time.Second}, func(r *gateRig) {
				r.busy()
				for i := range byte(company) {
					r.put(i, 1)
				}
				r.want(nil)
				for i := range byte(c.more) {
					time.Sleep(apart)
					r.put(i, 1)
				}
				r.want(make([]error, company+c.more)...)
				if got := r.at[1] - r.takes; got != c.want || r.batches[1] < company+min(c.more, int(lingerMost/apart)-1) {
					t.Errorf("a batch of %d left after %v, want %v", r.batches[1], got, c.want)
				}
			})
		})
	}
}

// TestGateTellsEveryFate: each entry of a batch hears once what became of it.
func TestGateTellsEveryFate(t *testing.T) {
	conflict, broken := errors.New("known already"), errors.New("no disk")
	for name, c := range map[string]struct {
		answer any
		err    error
		want   []error
	}{
		"all well":        {nil, nil, []error{nil, nil}},
		"one is refused":  {[]error{nil, conflict}, nil, []error{nil, conflict}},
		"all are refused": {conflict, nil, []error{conflict, conflict}},
		"the log failed":  {nil, broken, []error{broken, broken}},
	} {
		t.Run(name, func(t *testing.T) {
			l := &slowLog{takes: time.Millisecond, answer: func() (any, error) { return c.answer, c.err }}
			withGate(t, l, func(r *gateRig) {
				r.busy()
				r.put(1, 1)
				r.put(2, 1)
				r.want(nil) // the busy one
				r.want(c.want...)
			})
		})
	}
}

// TestGateForgetsAnOldLeadership: what was proposed under a leadership that is
// over never reaches the log.
func TestGateForgetsAnOldLeadership(t *testing.T) {
	withGate(t, &slowLog{takes: time.Millisecond}, func(r *gateRig) {
		r.busy()
		r.put(1, 1)
		r.term.cancel()
		next, cancel := context.WithCancel(r.t.Context())
		defer cancel()
		r.term = &term{ctx: next, cancel: cancel}
		r.put(2, 1)
		r.want(nil, raft.ErrLeadershipLost, nil)
		if want := []byte{0, 2}; !bytes.Equal(r.order, want) {
			t.Errorf("the log has %v, want %v", r.order, want)
		}
	})
}

// TestGateWithdraws: an entry can be taken back until it leaves.
func TestGateWithdraws(t *testing.T) {
	withGate(t, &slowLog{takes: time.Millisecond}, func(r *gateRig) {
		first := r.put(0, 1)
		synctest.Wait()
		second, third := r.put(1, 1), r.put(2, 1)
		if r.gate.withdraw(first) || !r.gate.withdraw(second) || r.gate.withdraw(second) {
			t.Error("only the second could be taken back, once")
		}
		r.want(nil, nil)
		if want := []byte{0, 2}; !bytes.Equal(r.order, want) || r.gate.withdraw(third) {
			t.Errorf("the log has %v, want %v", r.order, want)
		}
	})
}

// TestGateIsBounded: more than gateMost entries do not wait, and after its end
// nothing does.
func TestGateIsBounded(t *testing.T) {
	withGate(t, &slowLog{takes: time.Hour}, func(r *gateRig) {
		r.busy()
		for range gateMost {
			r.put(1, 1)
		}
		if err := r.gate.put(&proposal{term: r.term}); !errors.Is(err, raft.ErrEnqueueTimeout) {
			t.Errorf("one too many: %v", err)
		}
		r.stop()
		r.want(nil) // what was under way
		if n := len(r.fates); n != gateMost {
			t.Errorf("%d of %d entries heard of the end", n, gateMost)
		}
		r.want(raft.ErrRaftShutdown)
		if err := r.gate.put(&proposal{term: r.term}); !errors.Is(err, raft.ErrRaftShutdown) {
			t.Errorf("after the end: %v", err)
		}
	})
}
