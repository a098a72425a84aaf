package event

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waiting reads what is ready without waiting for more.
func waiting(s *Subscription) (ids []uint64) {
	for {
		select {
		case e, ok := <-s.C():
			if !ok {
				return ids
			}
			ids = append(ids, e.ID)
		default:
			return ids
		}
	}
}

func publish(b *Bus, n int) {
	for range n {
		b.Publish(Event{Name: TaskReceived})
	}
}

func TestSubscribeReplays(t *testing.T) {
	for name, c := range map[string]struct {
		published int
		after     uint64
		want      []uint64 // before two more are published as 4.. or 11..
	}{
		"everything kept":            {3, 0, []uint64{1, 2, 3}},
		"after a position":           {3, 2, []uint64{3}},
		"after the newest":           {3, 3, nil},
		"live only":                  {3, Live, nil},
		"older than the ring":        {10, 2, []uint64{7, 8, 9, 10}},
		"exactly the ring":           {10, 6, []uint64{7, 8, 9, 10}},
		"full ring from the start":   {4, 0, []uint64{1, 2, 3, 4}},
		"position before a restart":  {3, 500, []uint64{1, 2, 3}},
		"restart with a turned ring": {10, 500, []uint64{7, 8, 9, 10}},
		"nothing yet":                {0, 0, nil},
		"nothing yet, old position":  {0, 500, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := New(4)
			publish(b, c.published)
			s := b.Subscribe(c.after, 2)
			defer s.Close()
			publish(b, 2)
			next := uint64(c.published)
			if got, want := waiting(s), append(c.want, next+1, next+2); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if s.Dropped() != 0 {
				t.Errorf("dropped %d", s.Dropped())
			}
		})
	}
}

func TestSlowSubscriberLosesAndOthersDoNot(t *testing.T) {
	b := New(0)
	slow, fast := b.Subscribe(0, 3), b.Subscribe(0, 100)
	defer slow.Close()
	defer fast.Close()
	publish(b, 10)
	if got := waiting(slow); !slices.Equal(got, []uint64{1, 2, 3}) || slow.Dropped() != 7 {
		t.Errorf("slow got %v and dropped %d", got, slow.Dropped())
	}
	if got := waiting(fast); len(got) != 10 || fast.Dropped() != 0 {
		t.Errorf("fast got %v and dropped %d", got, fast.Dropped())
	}
	if b.Drops() != 7 {
		t.Errorf("bus counts %d drops, want 7", b.Drops())
	}
	publish(b, 1)
	if got := waiting(slow); !slices.Equal(got, []uint64{11}) {
		t.Errorf("after the loss: %v, want the jump to 11", got)
	}
}

func TestBufferIsBounded(t *testing.T) {
	b := New(1)
	for asked, want := range map[int]int{-5: 1, 0: 1, 7: 7, MaxBuffer + 1: MaxBuffer, 1 << 40: MaxBuffer} {
		s := b.Subscribe(Live, asked)
		if got := cap(s.ch); got != want {
			t.Errorf("buffer %d gives %d, want %d", asked, got, want)
		}
		s.Close()
	}
}

func TestCloseEndsTheChannelAndKeepsWhatWaits(t *testing.T) {
	b := New(0)
	s, other := b.Subscribe(0, 10), b.Subscribe(0, 10)
	defer other.Close()
	publish(b, 2)
	s.Close()
	s.Close()
	publish(b, 1)
	var got []uint64
	for e := range s.C() {
		got = append(got, e.ID)
	}
	if !slices.Equal(got, []uint64{1, 2}) || b.Drops() != 0 {
		t.Errorf("got %v, drops %d", got, b.Drops())
	}
	if got := waiting(other); len(got) != 3 {
		t.Errorf("other subscription got %v", got)
	}
}

// However publishing, subscribing and reading interleave, a subscription with
// room sees an unbroken run of ids.
func TestNoGapAndNoRepeatUnderLoad(t *testing.T) {
	const publishers, each = 4, 500
	b := New(0)
	first := b.Subscribe(0, MaxBuffer) // before any publication
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() { publish(b, each) })
	}
	subs := []*Subscription{first}
	for range 20 {
		subs = append(subs, b.Subscribe(0, MaxBuffer))
	}
	wg.Wait()
	for i, s := range subs {
		s.Close()
		ids := waiting(s)
		for j := 1; j < len(ids); j++ {
			if ids[j] != ids[j-1]+1 {
				t.Fatalf("subscription %d: id %d follows %d", i, ids[j], ids[j-1])
			}
		}
		if last := ids[len(ids)-1]; last != publishers*each {
			t.Errorf("subscription %d ends at %d", i, last)
		}
	}
	if b.Drops() != 0 {
		t.Errorf("%d drops", b.Drops())
	}
}

func TestPublishSetsTheTime(t *testing.T) {
	b := New(0)
	s := b.Subscribe(0, 2)
	defer s.Close()
	fixed := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	b.Publish(Event{Name: TaskFailed, At: fixed})
	b.Publish(Event{Name: TaskFailed})
	if e := <-s.C(); e.At != fixed {
		t.Errorf("time was replaced: %s", e.At)
	}
	if e := <-s.C(); time.Since(e.At) > time.Minute || e.At.Location() != time.UTC {
		t.Errorf("time %s", e.At)
	}
}

func TestPublishAllocatesNothing(t *testing.T) {
	b := New(16)
	e := Event{Name: TaskCompleted, TaskID: "us-east-1"}
	if n := testing.AllocsPerRun(1000, func() { b.Publish(e) }); n != 0 {
		t.Errorf("%v allocations per event without subscribers", n)
	}
	s := b.Subscribe(Live, 1)
	defer s.Close()
	if n := testing.AllocsPerRun(1000, func() { b.Publish(e) }); n != 0 {
		t.Errorf("%v allocations per event with a slow subscriber", n)
	}
}

// The names and the JSON form are what clients program against.
//
// spec 0.72 0.73 0.74
func TestContract(t *testing.T) {
	var got strings.Builder
	for _, n := range Names() {
		fmt.Fprintln(&got, n)
	}
	b := New(0)
	s := b.Subscribe(0, 2)
	defer s.Close()
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	b.Publish(Event{Name: TaskReceived, At: at, TaskID: "us-east-1", Data: map[string]int{"subtasks": 3}})
	b.Publish(Event{Name: RolesChanged, At: at})
	for range 2 {
		line, err := json.Marshal(<-s.C())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "%s\n", line)
	}
	want, err := os.ReadFile("testdata/contract.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the contract changed; got\n%s", got.String())
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, watchers := range []int{0, 1, 10} {
		b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) {
			bus := New(0)
			for range watchers {
				defer bus.Subscribe(Live, 64).Close()
			}
			e := Event{Name: TaskCompleted, TaskID: "us-east-1"}
			b.ReportAllocs()
			for b.Loop() {
				bus.Publish(e)
			}
		})
	}
}
