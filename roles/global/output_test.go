package global

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// writers is a task as its home tells of it, which a test changes at will.
type writers struct {
	mu    sync.Mutex
	state core.OutputState
	err   error // of both questions
	runs  map[int]wrote
	asked int // questions for output
	most  int // of them that waited at once
	waits int
}

// wrote is what a run of a subtask has written to its standard output; what is before
// from is not kept any more.
type wrote struct {
	run  uint64
	text string
	from int
	over bool
}

func newWriters(runs map[int]wrote) *writers {
	w := &writers{state: core.OutputState{TaskID: "t", Type: "wasm", Status: core.TaskRunning, Writes: true}, runs: runs}
	for i := range runs {
		w.state.Running = append(w.state.Running, i)
		w.state.Subtasks = max(w.state.Subtasks, i+1)
	}
	slices.Sort(w.state.Running)
	w.state.Running = w.state.Running[:min(len(w.state.Running), core.MaxWritersShown)]
	return w
}

func (w *writers) change(fn func()) {
	w.mu.Lock()
	fn()
	w.mu.Unlock()
}

func (w *writers) Writing(context.Context, core.TaskID) (core.OutputState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state, w.err
}

func (w *writers) Written(ctx context.Context, _ core.TaskID, from core.OutputFrom) (core.OutputPart, error) {
	w.change(func() {
		w.asked++
		w.waits++
		w.most = max(w.most, w.waits)
	})
	defer w.change(func() { w.waits-- })
	for end := time.Now().Add(wire.OutputWait); ; {
		part, err := w.look(from)
		if err != nil || len(part.Pieces) > 0 || part.Over || from.Now || !time.Now().Before(end) || ctx.Err() != nil {
			return part, errors.Join(err, ctx.Err())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *writers) look(from core.OutputFrom) (core.OutputPart, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, known := w.runs[from.Subtask]
	if !known || w.err != nil {
		return core.OutputPart{}, errors.Join(w.err, core.Errorf(core.NotFound, "subtask", "it does not run"))
	}
	if from.Run != r.run {
		from = core.OutputFrom{}
	}
	begin := max(int(from.Stdout), r.from)
	part := core.OutputPart{Run: r.run, Attempt: int(r.run), Over: r.over}
	if rest := r.text[min(begin, len(r.text)):]; rest != "" {
		part.Pieces = []core.OutputPiece{{Stream: core.Stdout, Offset: int64(begin), Data: []byte(rest)}}
	}
	return part, nil
}

// ear is a listener that writes down what it hears.
type ear struct {
	mu     sync.Mutex
	words  []string
	cursor string
	err    error
	done   chan struct{}
}

// listens starts to listen.
func (r *rig) listens(w *writers, q core.OutputQuery, slow func()) *ear {
	e := &ear{done: make(chan struct{})}
	r.wg.Go(func() {
		defer close(e.done)
		e.err = r.c.Listen(r.ctx, w, "t", q, func(o core.OutputEvent) error {
			if slow != nil {
				slow()
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			word := string(o.Event)
			switch o.Event {
			case core.OutputTask, core.OutputEnd:
				word += fmt.Sprintf(" %s/%d", o.Status, o.Subtasks)
			case core.OutputRestart:
				word += fmt.Sprintf(" %d/%d", *o.Subtask, o.Attempt)
			case core.OutputData:
				word = fmt.Sprintf("%d@%d %s", *o.Subtask, *o.Offset, o.Data)
			}
			e.words, e.cursor = append(e.words, word), o.Cursor.String()
			return nil
		})
	})
	return e
}

func (e *ear) heard() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.words, ", ")
}

func wantHeard(t *testing.T, e *ear, want string) {
	t.Helper()
	time.Sleep(time.Second)
	synctest.Wait()
	if got := e.heard(); got != want {
		t.Errorf("heard %s\nwant  %s", got, want)
	}
}

// TestListen hears a task from its first word to its end.
func TestListen(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := newWriters(map[int]wrote{0: {run: 1, text: "one"}})
		e := r.listens(w, core.OutputQuery{Follow: true}, nil)
		wantHeard(t, e, "task running/1, 0@0 one")
		w.change(func() { w.runs[0] = wrote{run: 1, text: "onetwo"} })
		wantHeard(t, e, "task running/1, 0@0 one, 0@3 two")
		w.change(func() {
			w.runs[0] = wrote{run: 1, text: "onetwothree", over: true}
			w.state.Status, w.state.Running = core.TaskCompleted, nil
		})
		<-e.done
		wantHeard(t, e, "task running/1, 0@0 one, 0@3 two, 0@6 three, task completed/1, end completed/1")
		if e.err != nil {
			t.Error(e.err)
		}
	})
}

// TestAttemptIsLost: the output of the next attempt begins anew, and is told so.
func TestAttemptIsLost(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := newWriters(map[int]wrote{2: {run: 1, text: "abc"}})
		e := r.listens(w, core.OutputQuery{Follow: true}, nil)
		wantHeard(t, e, "task running/3, 2@0 abc")
		w.change(func() { delete(w.runs, 2) })
		wantHeard(t, e, "task running/3, 2@0 abc")
		w.change(func() { w.runs[2] = wrote{run: 2, text: "ABCD"} })
		wantHeard(t, e, "task running/3, 2@0 abc, restart 2/2, 2@0 ABCD")
		if !strings.HasPrefix(e.cursor, "2:2:4:0") {
			t.Errorf("cursor %s", e.cursor)
		}
	})
}

// TestWhereOneWas: who comes back hears what he does not know, a restart that he
// missed, and sees by the offset what is lost.
func TestWhereOneWas(t *testing.T) {
	for _, c := range []struct{ name, after, want string }{
		{"nothing known", "", "task running/2, 0@2 cdef, 1@0 xy"},
		{"a part", "0:1:3:0,1:1:2:0", "task running/2, 0@3 def"},
		{"another run", "1:7:5:0", "task running/2, restart 1/1, 0@2 cdef, 1@0 xy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				w := newWriters(map[int]wrote{0: {run: 1, text: "abcdef", from: 2}, 1: {run: 1, text: "xy"}})
				after, err := core.ParseOutputCursor(c.after)
				if err != nil {
					t.Fatal(err)
				}
				e := r.listens(w, core.OutputQuery{Follow: true, After: after}, nil)
				time.Sleep(time.Second)
				synctest.Wait()
				got, want := strings.Split(e.heard(), ", "), strings.Split(c.want, ", ")
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) { // of two subtasks either may be first
					t.Errorf("heard %s", e.heard())
				}
			})
		})
	}
}

// TestWhatIsThere: without following, all that is kept is told, and that is it.
func TestWhatIsThere(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := newWriters(map[int]wrote{0: {run: 1, text: "abc"}, 1: {run: 1}})
		begun := time.Now()
		e := r.listens(w, core.OutputQuery{}, nil)
		<-e.done
		if e.err != nil || e.heard() != "task running/2, 0@0 abc" || time.Since(begun) > wire.OutputWait {
			t.Errorf("%s, %v after %s", e.heard(), e.err, time.Since(begun))
		}
	})
}

// TestAllThatIsThere: without following, those that there was no room for come later.
func TestAllThatIsThere(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		runs := map[int]wrote{}
		for i := range 50 {
			runs[i] = wrote{run: 1, text: "x"}
		}
		w := newWriters(runs)
		e := r.listens(w, core.OutputQuery{}, nil)
		<-e.done
		for i := range 50 {
			if n := strings.Count(e.heard()+",", fmt.Sprintf(" %d@0 x,", i)); n != 1 {
				t.Errorf("subtask %d was heard %d times", i, n)
			}
		}
		if e.err != nil || w.most > maxReadingOne {
			t.Errorf("%v, %d were asked at once", e.err, w.most)
		}
	})
}

// TestChosen: one subtask and one stream.
func TestChosen(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := newWriters(map[int]wrote{0: {run: 1, text: "abc"}, 1: {run: 1, text: "def"}})
		one, five := 1, 5
		wantHeard(t, r.listens(w, core.OutputQuery{Subtask: &one}, nil), "task running/2, 1@0 def")
		wantHeard(t, r.listens(w, core.OutputQuery{Stream: core.Stderr}, nil), "task running/2")
		e := r.listens(w, core.OutputQuery{Subtask: &five}, nil)
		if <-e.done; !errors.Is(e.err, core.Invalid) {
			t.Error(e.err)
		}
	})
}

// TestNothingToHear: a task that writes nothing says so at once, and one that has ended
// where its output is.
func TestNothingToHear(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := newWriters(nil)
		w.state.Writes, w.state.Type = false, "compute"
		e := r.listens(w, core.OutputQuery{Follow: true}, nil)
		if <-e.done; !errors.Is(e.err, core.NotFound) || !strings.Contains(e.err.Error(), "is of type compute, and tasks like it write no output") {
			t.Error(e.err)
		}
		w = newWriters(nil)
		w.state.Status, w.state.Subtasks = core.TaskFailed, 1
		e = r.listens(w, core.OutputQuery{Follow: true}, nil)
		if <-e.done; e.err != nil || e.heard() != "task failed/1, end failed/1" {
			t.Errorf("%s, %v", e.heard(), e.err)
		}
	})
}

// TestHomeOutOfReach: a listener waits for a home that comes back, and not for ever.
func TestHomeOutOfReach(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		away := core.Errorf(core.Unavailable, "region", "it elects a leader")
		w := newWriters(map[int]wrote{0: {run: 1, text: "abc"}})
		e := r.listens(w, core.OutputQuery{Follow: true}, nil)
		wantHeard(t, e, "task running/1, 0@0 abc")
		w.change(func() { w.err = away })
		time.Sleep(feedPatience / 2)
		w.change(func() { w.err, w.runs[0] = nil, wrote{run: 1, text: "abcdef"} })
		wantHeard(t, e, "task running/1, 0@0 abc, 0@3 def")
		w.change(func() { w.err = away })
		begun := time.Now()
		if <-e.done; !errors.Is(e.err, core.Unavailable) || time.Since(begun) < feedPatience-2*time.Second {
			t.Errorf("%v after %s", e.err, time.Since(begun))
		}
	})
}

// TestSlowListener: who does not take what he is told is not told more, and holds up
// nobody: not the writer, not another listener, not the end.
func TestSlowListener(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w := newWriters(map[int]wrote{0: {run: 1, text: "a"}, 1: {run: 1, text: "b"}})
		gate := make(chan struct{})
		slow := r.listens(w, core.OutputQuery{Follow: true}, func() { <-gate })
		quick := r.listens(w, core.OutputQuery{Follow: true, Subtask: new(int)}, nil)
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			w.change(func() { w.runs[0] = wrote{run: 1, text: w.runs[0].text + "a"} })
		}
		time.Sleep(time.Second)
		if text := quick.heard(); strings.Count(text, "a")-strings.Count(text, "task") != 51 {
			t.Errorf("the other heard %s", text)
		}
		w.mu.Lock()
		asked := w.asked
		w.mu.Unlock()
		if asked > 60 {
			t.Errorf("%d questions for two listeners, one of them asleep", asked)
		}
		w.change(func() { w.state.Status, w.state.Running = core.TaskCancelled, nil; clear(w.runs) })
		<-quick.done
		close(gate)
		<-slow.done
	})
}

// TestManySubtasks: a listener hears so many at once, all listeners together so many,
// and the others as soon as there is room.
func TestManySubtasks(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		runs := map[int]wrote{}
		for i := range 50 {
			runs[i] = wrote{run: 1, text: "x", over: i < 40}
		}
		w := newWriters(runs)
		e := r.listens(w, core.OutputQuery{Follow: true}, nil)
		time.Sleep(time.Second)
		w.change(func() { w.state.Running = w.state.Running[30:] }) // as those end
		time.Sleep(time.Second)
		for i := range 50 {
			if !strings.Contains(e.heard(), fmt.Sprintf(" %d@0 x", i)) {
				t.Errorf("subtask %d was not heard", i)
			}
		}
		w.change(func() { w.state.Status, w.state.Running = core.TaskCancelled, nil; clear(w.runs) })
		<-e.done
		if w.most > maxReadingOne {
			t.Errorf("%d were asked at once", w.most)
		}
		for range maxReading {
			select {
			case r.c.reading <- struct{}{}:
			default:
			}
		}
		late := r.listens(newWriters(map[int]wrote{0: {run: 1, text: "y"}}), core.OutputQuery{Follow: true}, nil)
		wantHeard(t, late, "task running/1")
		<-r.c.reading
		wantHeard(t, late, "task running/1, 0@0 y")
	})
}

// TestHomeIsAsked: both questions go to the home, and its answers are checked.
func TestHomeIsAsked(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		home := r.region(east, 1)
		id := core.NewTaskID(east, "01890a5d-ac96-774b-bcce-b302099a8057")
		var mu sync.Mutex
		text := ""
		answer := func(t string) {
			mu.Lock()
			defer mu.Unlock()
			text = t
		}
		home.answers(func(q *wire.JobQuery) *wire.JobState {
			mu.Lock()
			defer mu.Unlock()
			if q.Op != wire.QueryOutput || q.TaskID != id {
				t.Errorf("asked %+v", q)
			}
			return &wire.JobState{Output: wire.Payload{Inline: json.RawMessage(text)}}
		})
		answer(`{"taskId":"` + string(id) + `","type":"wasm","status":"running","subtasks":1,"running":[0],"writes":true}`)
		if s, err := r.c.Writing(t.Context(), id); err != nil || !slices.Equal(s.Running, []int{0}) {
			t.Errorf("%+v, %v", s, err)
		}
		answer(`{"run":"9","attempt":1,"pieces":[{"stream":"stderr","offset":"0","data":"eA=="}],"over":true}`)
		if p, err := r.c.Written(t.Context(), id, core.OutputFrom{}); err != nil || p.Run != 9 || !p.Over {
			t.Errorf("%+v, %v", p, err)
		}
		answer(`{}`)
		if _, err := r.c.Writing(t.Context(), id); !errors.Is(err, core.Corrupt) {
			t.Error(err)
		}
		if _, err := r.c.Written(t.Context(), id, core.OutputFrom{}); !errors.Is(err, core.Corrupt) {
			t.Error(err)
		}
	})
}
