package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

const home core.RegionID = "us-east"

// shown is pieces as text: "out@3:abc err@0:x".
func shown(pieces []core.OutputPiece) string {
	var words []string
	for _, p := range pieces {
		words = append(words, fmt.Sprintf("%s@%d:%s", strings.TrimPrefix(string(p.Stream), "std"), p.Offset, p.Data))
	}
	return strings.Join(words, " ")
}

// ask reads through the answer to a question, as a coordinator does.
func ask(t *testing.T, tasks *Tasks, region core.RegionID, id core.TaskID, from core.OutputFrom) (core.OutputPart, error) {
	t.Helper()
	state := tasks.Of(region).Answer(t.Context(), boss, &wire.JobQuery{ID: 7, TaskID: id, Op: wire.QueryOutput, Output: &from})
	if state.Fault != nil {
		return core.OutputPart{}, state.Fault.Err()
	}
	part, err := wire.DecodeOutputPart(state.Output.Inline, from)
	if err != nil {
		t.Fatalf("%s: %v", state.Output.Inline, err)
	}
	return part, nil
}

// TestOutputOfASubtask: it is told from its beginning or from where one was, while the
// subtask runs and shortly after; only to the region that gave it.
func TestOutputOfASubtask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		spec := task(talks, core.Requirements{})
		ticket, no := r.tasks.Of(home).Take(boss, offer("t", 3, spec))
		if no != nil {
			t.Fatal(no)
		}
		go ticket.Run(t.Context(), spec.Data, func(float64) {})
		synctest.Wait()
		from := core.OutputFrom{Subtask: 3}
		part, err := ask(t, r.tasks, home, "t", from)
		if err != nil || shown(part.Pieces) != "out@0:one err@0:oops" || part.Over || part.Attempt != 1 {
			t.Fatalf("%+v, %v", part, err)
		}
		from.Run, from.Stdout, from.Stderr = part.Run, 3, 2
		if part, err := ask(t, r.tasks, home, "t", from); err != nil || shown(part.Pieces) != "err@2:ps" {
			t.Errorf("%+v, %v", part, err)
		}
		for _, other := range []struct {
			region core.RegionID
			task   core.TaskID
			index  int
		}{{"eu-west", "t", 3}, {"", "t", 3}, {home, "u", 3}, {home, "t", 2}} {
			if _, err := ask(t, r.tasks, other.region, other.task, core.OutputFrom{Subtask: other.index}); !errors.Is(err, core.NotFound) {
				t.Errorf("%+v: %v", other, err)
			}
		}
		if s := r.tasks.Answer(t.Context(), boss, &wire.JobQuery{TaskID: "t", Op: wire.QueryOutput, Output: &from}); s.Fault == nil {
			t.Error("told without a region")
		}
		from.Stderr = 4
		begun := time.Now()
		if part, err := ask(t, r.tasks, home, "t", from); err != nil || len(part.Pieces) > 0 || part.Over || time.Since(begun) != wire.OutputWait {
			t.Errorf("%+v, %v after %s", part, err, time.Since(begun))
		}
		heard := make(chan core.OutputPart, 1)
		go func() {
			part, _ := ask(t, r.tasks, home, "t", from)
			heard <- part
		}()
		synctest.Wait()
		close(r.gate)
		if part := <-heard; shown(part.Pieces) != "out@3:two" {
			t.Errorf("who waited heard %+v", part)
		}
		synctest.Wait()
		if part, err := ask(t, r.tasks, home, "t", from); err != nil || shown(part.Pieces) != "out@3:two" || !part.Over {
			t.Errorf("after the end: %+v, %v", part, err)
		}
		time.Sleep(outputLinger)
		synctest.Wait()
		if _, err := ask(t, r.tasks, home, "t", from); !errors.Is(err, core.NotFound) || r.tasks.outputs.kept != 0 {
			t.Errorf("much later: %v, %d bytes are kept", err, r.tasks.outputs.kept)
		}
	})
}

// TestNobodyAsked: of a subtask that nobody listens to nothing is kept once it ended.
func TestNobodyAsked(t *testing.T) {
	r := newRig(t)
	close(r.gate)
	spec := task(talks, core.Requirements{})
	ticket, _ := r.tasks.Of(home).Take(boss, offer("t", 0, spec))
	ticket.Run(t.Context(), spec.Data, func(float64) {})
	if o := r.tasks.outputs; len(o.logs) != 0 || o.kept != 0 {
		t.Errorf("%d logs with %d bytes are kept", len(o.logs), o.kept)
	}
}

// TestOutputOfAssigned: what was handed to this very node is heard as well.
func TestOutputOfAssigned(t *testing.T) {
	served(t, func(t *testing.T, r *rig, stop func()) {
		r.assign("mine", task(talks, core.Requirements{}))
		s, err := r.tasks.Writing(t.Context(), "mine")
		if err != nil || !s.Writes || len(s.Running) != 1 || s.Status != core.TaskRunning {
			t.Errorf("%+v, %v", s, err)
		}
		if _, err := ask(t, r.tasks, "", "mine", core.OutputFrom{}); !errors.Is(err, core.NotFound) {
			t.Errorf("told to a coordinator of no region: %v", err)
		}
		part, err := r.tasks.Written(t.Context(), "mine", core.OutputFrom{})
		if err != nil || shown(part.Pieces) != "out@0:one err@0:oops" {
			t.Errorf("%+v, %v", part, err)
		}
		close(r.gate)
		synctest.Wait()
		if s, err := r.tasks.Writing(t.Context(), "mine"); err != nil || len(s.Running) != 0 || s.Status != core.TaskCompleted {
			t.Errorf("%+v, %v", s, err)
		}
		if _, err := r.tasks.Writing(t.Context(), "yours"); !errors.Is(err, core.NotFound) {
			t.Error(err)
		}
		time.Sleep(outputLinger)
	})
}

// heldBytes is what all logs really hold.
func (o *outputs) heldBytes() (n int) {
	for _, l := range o.logs {
		for _, p := range l.pieces {
			n += len(p.Data) + beside
		}
	}
	return n
}

// TestOutputBomb: however much one subtask writes, and however many do, what is kept
// is bounded, and is the end of each.
func TestOutputBomb(t *testing.T) {
	for _, c := range []struct {
		name         string
		logs, rounds int
		piece        int
	}{
		{"one, in big pieces", 1, 100, 7 << 20},
		{"one, byte by byte", 1, 100_000, 1},
		{"many", 500, 40, 16 << 10},
		{"very many", 4096, 3, 64 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOutputs()
			var logs []*outputLog
			for i := range c.logs {
				logs = append(logs, o.begin(jobs.Key{Task: "t", Index: i}, home, 1))
			}
			piece := bytes.Repeat([]byte("x"), c.piece)
			for n := range c.rounds {
				for _, l := range logs {
					l.write([]core.Stream{core.Stdout, core.Stderr}[n%2], piece)
				}
			}
			if held := o.heldBytes(); held != o.kept || held > keptOutputs {
				t.Errorf("%d bytes are held, %d counted; at most %d", held, o.kept, keptOutputs)
			}
			for _, l := range logs {
				last := l.pieces[len(l.pieces)-1]
				if end := last.Offset + int64(len(last.Data)); l.kept > keptOutput || end != int64(c.rounds/2)*int64(c.piece) && c.rounds%2 == 0 {
					t.Fatalf("%d bytes are kept, to byte %d", l.kept, end)
				}
				l.end()
			}
			if o.kept != 0 || len(o.logs) != 0 {
				t.Errorf("%d bytes of %d logs are left", o.kept, len(o.logs))
			}
		})
	}
}

// TestLateListener gets the end of what was written, in answers of bounded size whose
// offsets show what is lost, and an end.
func TestLateListener(t *testing.T) {
	o := newOutputs()
	l := o.begin(jobs.Key{Task: "t"}, home, 2)
	want := make([]byte, 0, 1<<20)
	for i := range 1 << 14 {
		line := fmt.Appendf(nil, "%9d abcdefghijklmnopqrstuvwxyz\n", i)
		want = append(want, line...)
		l.write(core.Stdout, line)
	}
	l.asked = true
	l.end()
	var got []byte
	from, begins := core.OutputFrom{}, int64(-1)
	for over := false; !over; {
		part, err := o.read(t.Context(), home, "t", from)
		text, jsonErr := json.Marshal(part)
		if err != nil || jsonErr != nil || len(text) > wire.MaxInline {
			t.Fatalf("%d bytes, %v, %v", len(text), err, jsonErr)
		}
		if _, err := wire.DecodeOutputPart(text, from); err != nil {
			t.Fatal(err)
		}
		for _, p := range part.Pieces {
			if begins < 0 {
				begins = p.Offset
			} else if p.Offset != from.Stdout {
				t.Fatalf("a gap at %d", p.Offset)
			}
			got, from.Stdout = append(got, p.Data...), p.Offset+int64(len(p.Data))
		}
		from.Run, over = part.Run, part.Over
	}
	if !bytes.Equal(got, want[begins:]) || len(got) < keptOutput/2 {
		t.Errorf("%d bytes from %d on", len(got), begins)
	}
}

// TestAnotherRun: a second run of a subtask on the same node takes the place of the
// first, and is told from its beginning.
func TestAnotherRun(t *testing.T) {
	o := newOutputs()
	key := jobs.Key{Task: "t"}
	first := o.begin(key, home, 1)
	first.write(core.Stdout, []byte("abcdef"))
	part, err := o.read(t.Context(), home, "t", core.OutputFrom{})
	if err != nil {
		t.Fatal(err)
	}
	second := o.begin(key, home, 2)
	first.write(core.Stdout, []byte("ghi"))
	second.write(core.Stdout, []byte("ABC"))
	first.end()
	next, err := o.read(t.Context(), home, "t", core.OutputFrom{Run: part.Run, Stdout: 6})
	if err != nil || next.Run == part.Run || next.Attempt != 2 || shown(next.Pieces) != "out@0:ABC" {
		t.Errorf("%+v, %v", next, err)
	}
	second.close()
	if o.kept != 0 {
		t.Errorf("%d bytes are left", o.kept)
	}
}

// TestImpatient: who wants an answer now gets one, and who goes away waits no more.
func TestImpatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutputs()
		o.begin(jobs.Key{Task: "t"}, home, 1)
		begun := time.Now()
		if part, err := o.read(t.Context(), home, "t", core.OutputFrom{Now: true}); err != nil || part.Run == 0 || time.Since(begun) > 0 {
			t.Errorf("%+v, %v", part, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := o.read(ctx, home, "t", core.OutputFrom{}); err != nil || time.Since(begun) > 0 {
			t.Error(err)
		}
	})
}
