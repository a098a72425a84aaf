package dispatch

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// TestRunningUnitIsAskedForItsOutput: a dispatcher knows which units are held, and a
// question for what one of them writes reaches its holder with all that is known, over
// a pipe and over the wire.
func TestRunningUnitIsAskedForItsOutput(t *testing.T) {
	overEachLink(t, func(t *testing.T, r *rig) {
		w := newWorker(1)
		gate := make(chan struct{})
		w.run = func(_ context.Context, data []byte, _ func(float64)) *wire.JobResult {
			<-gate
			return w.output(data, json.RawMessage("1"))
		}
		known := core.OutputFrom{Subtask: 1, Run: 1<<64 - 1, Stdout: 1 << 40, Stderr: 7, Now: true}
		part := core.OutputPart{Run: known.Run, Attempt: 3, Over: true, Pieces: []core.OutputPiece{
			{Stream: core.Stderr, Offset: 7, Data: []byte("\x00\xff")}}}
		w.answer = func(q *wire.JobQuery) *wire.JobState {
			if q.Output == nil || *q.Output != known {
				t.Errorf("asked %+v", q.Output)
			}
			text, err := json.Marshal(part)
			return &wire.JobState{Output: wire.Payload{Inline: text}, Fault: wire.FaultOf(err)}
		}
		r.worker(w, 2)
		for i := range 3 {
			r.submit(unit(i))
		}
		synctest.Wait()
		for most, want := range map[int][]int{0: {}, 1: {0}, 64: {0, 1}} {
			if got := r.d.Running("t1", 3, most); !slices.Equal(got, want) {
				t.Errorf("at most %d of those that run: %v, want %v", most, got, want)
			}
		}
		id := core.NewTaskID("us-east", "01890a5d-ac96-774b-bcce-b302099a8057")
		got, err := r.d.Ask(t.Context(), w.id.ID(), wire.JobQuery{TaskID: id, Op: wire.QueryOutput, Output: &known})
		if err != nil {
			t.Fatal(err)
		}
		back, err := wire.DecodeOutputPart(got.Output.Inline, known)
		if err != nil || string(back.Pieces[0].Data) != "\x00\xff" || !back.Over || back.Attempt != 3 {
			t.Errorf("%+v, %v", back, err)
		}
		close(gate)
		r.owner.wait(t, 3)
		if got := r.d.Running("t1", 3, 64); len(got) != 0 {
			t.Errorf("after the end %v run", got)
		}
	})
}
