package global

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// lister plays a region that keeps tasks created at the given seconds.
func lister(g *region, name core.RegionID, seconds ...int) (tasks []core.TaskStatus) {
	for _, s := range seconds {
		tasks = append(tasks, core.TaskStatus{TaskID: core.NewTaskID(name, fmt.Sprintf("01890a5d-ac96-774b-bcce-b302099a%04d", s)),
			Status: core.TaskRunning, Type: "compute", Region: name, Created: time.Unix(int64(s), 0).UTC()})
	}
	g.answers(func(q *wire.JobQuery) *wire.JobState { return page(tasks, *q.List) })
	return tasks
}

// page is an honest answer out of tasks, which are newest first.
func page(tasks []core.TaskStatus, f core.TaskFilter) *wire.JobState {
	out := wire.TaskList{Tasks: []core.TaskStatus{}}
	after, _ := core.ParseCursor(f.After)
	for _, t := range tasks {
		behind := f.After == "" || t.Created.Before(after.Created) || t.Created.Equal(after.Created) && t.TaskID > after.ID
		if behind && len(out.Tasks) < f.Limit {
			out.Tasks = append(out.Tasks, t)
		}
	}
	return answer(out)
}

func answer(v any) *wire.JobState {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return &wire.JobState{Output: wire.Payload{Inline: text}}
}

func (r *rig) list(f core.TaskFilter) (core.TaskPage, []core.TaskID) {
	r.t.Helper()
	page, err := r.c.List(r.t.Context(), f)
	if err != nil {
		r.t.Fatalf("listing %+v: %v", f, err)
	}
	ids := []core.TaskID{}
	for _, s := range page.Tasks {
		ids = append(ids, s.TaskID)
	}
	return page, ids
}

// TestListOfAllRegions: one list out of all regions, newest first, page by page
// without a gap or a repetition; a region that does not answer is named.
//
// spec 2.66
func TestListOfAllRegions(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.hear(summary(east, 1, core.TierTrainer, 4, 1, 1))
		r.hear(summary(west, 2, core.TierTrainer, 4, 1, 1))
		lister(r.region("solo", 3), "solo")
		a := lister(r.region(east, 1), east, 9, 7, 4, 1)
		b := lister(r.region(west, 2), west, 8, 7, 3)
		want := []core.TaskID{a[0].TaskID, b[0].TaskID, b[1].TaskID, a[1].TaskID, a[2].TaskID, b[2].TaskID, a[3].TaskID}
		all, got := r.list(core.TaskFilter{Limit: 100})
		if !slices.Equal(got, want) || all.Next != "" || len(all.Incomplete) != 0 {
			t.Errorf("all: %v, next %q, incomplete %v", got, all.Next, all.Incomplete)
		}
		for limit := 1; limit <= len(want); limit++ {
			f := core.TaskFilter{Limit: limit}
			var paged []core.TaskID
			for pages := 0; ; pages++ {
				p, ids := r.list(f)
				paged = append(paged, ids...)
				if p.Next == "" {
					break
				}
				if f.After = p.Next; len(ids) != limit || pages > len(want) {
					t.Fatalf("limit %d: page of %d", limit, len(ids))
				}
			}
			if !slices.Equal(paged, want) {
				t.Errorf("limit %d: %v", limit, paged)
			}
		}
		if p, got := r.list(core.TaskFilter{Region: west, Limit: 2}); !slices.Equal(got, []core.TaskID{b[0].TaskID, b[1].TaskID}) || p.Next == "" {
			t.Errorf("of one region: %v", got)
		}
	})
}

// TestListWithoutARegion: a silent region costs two seconds and is named; one that
// answers nonsense, or about others' tasks, does not get into the list; when
// nobody answers it is an error.
func TestListWithoutARegion(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.hear(summary(east, 1, core.TierTrainer, 4, 1, 1))
		r.hear(summary(west, 2, core.TierTrainer, 4, 1, 1))
		r.hear(summary("asia", 4, core.TierTrainer, 4, 1, 1))
		r.region(west, 2) // says nothing
		r.region("asia", 4).answers(func(*wire.JobQuery) *wire.JobState { return answer("no list") })
		liar := r.region("solo", 3)
		foreign := core.TaskStatus{TaskID: core.NewTaskID(west, "01890a5d-ac96-774b-bcce-b302099a0001"), Created: time.Unix(99, 0)}
		liar.answers(func(*wire.JobQuery) *wire.JobState { return answer(wire.TaskList{Tasks: []core.TaskStatus{foreign}}) })
		mine := lister(r.region(east, 1), east, 5)
		start := time.Now()
		p, got := r.list(core.TaskFilter{Limit: 10})
		if !slices.Equal(got, []core.TaskID{mine[0].TaskID}) || !slices.Equal(p.Incomplete, []core.RegionID{"asia", west}) {
			t.Errorf("%v, incomplete %v", got, p.Incomplete)
		}
		if took := time.Since(start); took != listTimeout {
			t.Errorf("it took %s", took)
		}
		if _, err := r.c.List(t.Context(), core.TaskFilter{Region: west, Limit: 10}); !errors.Is(err, core.Unavailable) {
			t.Errorf("of the silent region: %v", err)
		}
		for _, f := range []core.TaskFilter{{}, {Limit: 10, After: "x"}, {Limit: 10, Status: "done"}, {Limit: core.MaxTaskList + 1}} {
			if _, err := r.c.List(t.Context(), f); !errors.Is(err, core.Invalid) {
				t.Errorf("%+v: %v", f, err)
			}
		}
	})
}

// TestListIsBounded: beyond maxListed regions the others are only named.
func TestListIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		lister(r.region("solo", 3), "solo", 1)
		for i := range 30 {
			r.hear(summary(core.RegionID(fmt.Sprintf("r%02d", i)), byte(100+i), core.TierTrainer, 1, 1, 1))
		}
		p, got := r.list(core.TaskFilter{Limit: 10})
		if len(got) != 1 || len(p.Incomplete) != 30 || !slices.IsSorted(p.Incomplete) {
			t.Errorf("%v, incomplete %v", got, p.Incomplete)
		}
	})
}

// story plays a home that has told n events of a task so far.
type story struct {
	told  atomic.Int64
	final atomic.Bool
	asked atomic.Int64
}

func (s *story) answer(q *wire.JobQuery) *wire.JobState {
	s.asked.Add(1)
	out := core.TaskEvents{Events: []core.TaskEvent{}, Final: s.final.Load()}
	for id := q.After + 1; id <= uint64(s.told.Load()); id++ {
		out.Events = append(out.Events, core.TaskEvent{ID: id, Event: core.EventAttemptStarted, TaskID: q.TaskID})
	}
	return answer(out)
}

const told core.TaskID = "us-east-01890a5d-ac96-774b-bcce-b302099a8057"

// TestEventsAreShared: however many listen to a task, its home is asked four times
// a second, and everybody gets every event once, whenever he came.
//
// spec 2.66
func TestEventsAreShared(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		var s story
		s.told.Store(3)
		g.answers(s.answer)
		const listeners = 20
		seen := make([][]uint64, listeners)
		for i := range listeners {
			r.wg.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				for after, final := uint64(0), false; !final; {
					news, err := r.c.Events(r.ctx, told, after, time.Second)
					if err != nil {
						t.Errorf("listener %d: %v", i, err)
						return
					}
					for _, e := range news.Events {
						after = e.ID
						seen[i] = append(seen[i], e.ID)
					}
					final = news.Final
				}
			})
		}
		time.Sleep(5 * time.Second)
		s.told.Store(9)
		time.Sleep(5 * time.Second)
		s.told.Store(10)
		s.final.Store(true)
		time.Sleep(time.Second)
		synctest.Wait()
		for i := range seen {
			if !slices.Equal(seen[i], []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) {
				t.Errorf("listener %d saw %v", i, seen[i])
			}
		}
		if n := s.asked.Load(); n > 4*11+listeners {
			t.Errorf("the home was asked %d times in 11 s", n)
		}
	})
}

// TestEventsWait: a listener waits as long as it said, one that does not wait asks
// the home itself, and an unknown task is told at once.
func TestEventsWait(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		var s story
		s.told.Store(1)
		unknown := false
		g.answers(func(q *wire.JobQuery) *wire.JobState {
			if unknown {
				return &wire.JobState{Fault: wire.FaultOf(core.Errorf(core.NotFound, "taskId", "never heard of it"))}
			}
			return s.answer(q)
		})
		start := time.Now()
		if news, err := r.c.Events(t.Context(), told, 1, 3*time.Second); err != nil || len(news.Events) != 0 || news.Final || time.Since(start) != 3*time.Second {
			t.Errorf("%+v, %v after %s", news, err, time.Since(start))
		}
		if news, err := r.c.Events(t.Context(), told, 0, 0); err != nil || len(news.Events) != 1 {
			t.Errorf("at once %+v, %v", news, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if news, err := r.c.Events(ctx, told, 1, time.Minute); err != nil || len(news.Events) != 0 {
			t.Errorf("a listener that left: %+v, %v", news, err)
		}
		time.Sleep(time.Second)
		unknown = true
		if _, err := r.c.Events(t.Context(), told, 1, time.Minute); !errors.Is(err, core.NotFound) {
			t.Errorf("a task that is forgotten: %v", err)
		}
	})
}

// TestEventsOfASilentHome: a home that is away for a while is waited for, one that
// stays away is told.
func TestEventsOfASilentHome(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		_ = g.Close()
		synctest.Wait()
		start := time.Now()
		_, err := r.c.Events(t.Context(), told, 0, time.Minute)
		if took := time.Since(start); !errors.Is(err, core.Unavailable) || took < feedPatience || took > 2*feedPatience {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// TestWhy: the home's words reach whoever asks any gateway.
func TestWhy(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		want := core.TaskWhy{TaskID: told, Status: core.TaskPending, Because: "it waits", Helps: []string{"wait"}}
		other := false
		g.answers(func(*wire.JobQuery) *wire.JobState {
			w := want
			if other {
				w.TaskID = "another"
			}
			return answer(w)
		})
		if got, err := r.c.Why(t.Context(), told); err != nil || got.Because != want.Because || !slices.Equal(got.Helps, want.Helps) {
			t.Errorf("%+v, %v", got, err)
		}
		synctest.Wait()
		other = true
		if _, err := r.c.Why(t.Context(), told); !errors.Is(err, core.Corrupt) {
			t.Errorf("about another task: %v", err)
		}
	})
}
