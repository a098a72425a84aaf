package wire

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// TestQuestions: which questions may be put.
func TestQuestions(t *testing.T) {
	list := func(edit func(*core.TaskFilter)) *JobQuery {
		f := &core.TaskFilter{Limit: 10}
		edit(f)
		return &JobQuery{Op: QueryList, List: f}
	}
	tests := []struct {
		name string
		q    *JobQuery
		ok   bool
	}{
		{"list", list(func(*core.TaskFilter) {}), true},
		{"list one more than a page", list(func(f *core.TaskFilter) { f.Limit = core.MaxTaskList + 1 }), true},
		{"list too many", list(func(f *core.TaskFilter) { f.Limit = core.MaxTaskList + 2 }), false},
		{"list without a filter", &JobQuery{Op: QueryList}, false},
		{"list of a task", &JobQuery{Op: QueryList, TaskID: sampleTask, List: &core.TaskFilter{Limit: 1}}, false},
		{"list with a bad cursor", list(func(f *core.TaskFilter) { f.After = "x" }), false},
		{"events", &JobQuery{Op: QueryEvents, TaskID: sampleTask, After: 7}, true},
		{"why", &JobQuery{Op: QueryWhy, TaskID: sampleTask}, true},
		{"why of nothing", &JobQuery{Op: QueryWhy}, false},
		{"why with a filter", &JobQuery{Op: QueryWhy, TaskID: sampleTask, List: &core.TaskFilter{Limit: 1}}, false},
		{"unknown", &JobQuery{Op: "who", TaskID: sampleTask}, false},
		{"who writes", &JobQuery{Op: QueryOutput, TaskID: sampleTask}, true},
		{"who writes for nothing", &JobQuery{Op: QueryOutput}, false},
		{"output", &JobQuery{Op: QueryOutput, TaskID: sampleTask, Output: &core.OutputFrom{Subtask: core.MaxParallelism - 1, Run: math.MaxUint64, Stdout: math.MaxInt64, Now: true}}, true},
		{"output of no subtask", &JobQuery{Op: QueryOutput, TaskID: sampleTask, Output: &core.OutputFrom{Subtask: core.MaxParallelism}}, false},
		{"output before its beginning", &JobQuery{Op: QueryOutput, TaskID: sampleTask, Output: &core.OutputFrom{Stderr: -1}}, false},
		{"output with another question", &JobQuery{Op: QueryWhy, TaskID: sampleTask, Output: &core.OutputFrom{}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.q.Validate(); (err == nil) != tt.ok {
				t.Fatal(err)
			}
			if !tt.ok {
				return
			}
			frame, _, err := AppendBatch(nil, tt.q)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := DecodeBatch(frame); err != nil || len(b.Bodies) != 1 {
				t.Errorf("%+v, %v", b, err)
			}
		})
	}
}

// TestAnswers: what a region may answer.
func TestAnswers(t *testing.T) {
	status := `{"taskId":"` + string(sampleTask) + `","status":"pending","progress":0,"type":"compute","region":"us-east","subtasks":1,"created":"2026-11-20T09:00:00Z","updated":"2026-11-20T09:00:00Z"}`
	event := func(id, task string) string {
		return `{"id":"` + id + `","event":"received","taskId":"` + task + `"}`
	}
	events := func(list ...string) string { return `{"events":[` + strings.Join(list, ",") + `],"final":false}` }
	mine := string(sampleTask)
	decodeList := func(b json.RawMessage) error { _, err := DecodeTaskList(b, 2); return err }
	decodeEvents := func(b json.RawMessage) error { _, err := DecodeTaskEvents(b, sampleTask, 5); return err }
	decodeWhy := func(b json.RawMessage) error { _, err := DecodeTaskWhy(b, sampleTask); return err }
	tests := []struct {
		name   string
		decode func(json.RawMessage) error
		text   string
		ok     bool
	}{
		{"no tasks", decodeList, `{"tasks":[]}`, true},
		{"two tasks", decodeList, `{"tasks":[` + status + `,` + status + `]}`, true},
		{"more than asked for", decodeList, `{"tasks":[` + status + `,` + status + `,` + status + `]}`, false},
		{"a task without an id", decodeList, `{"tasks":[{"status":"pending"}]}`, false},
		{"nothing", decodeList, ``, false},
		{"events", decodeEvents, events(event("6", mine), event("7", mine)), true},
		{"an event seen before", decodeEvents, events(event("5", mine)), false},
		{"out of order", decodeEvents, events(event("7", mine), event("6", mine)), false},
		{"of another task", decodeEvents, events(event("6", "a")), false},
		{"a number that ends all", decodeEvents, events(event("18446744073709551615", mine)), false},
		{"a long outcome", decodeEvents, `{"events":[{"id":"6","event":"attempt_ended","taskId":"` + mine + `","attempt":{"outcome":"` + strings.Repeat("x", 41) + `"}}]}`, false},
		{"why", decodeWhy, `{"taskId":"` + mine + `","status":"pending","because":"x","helps":["y"]}`, true},
		{"why of another", decodeWhy, `{"taskId":"a","status":"pending","because":"x","helps":[]}`, false},
		{"too many words", decodeWhy, `{"taskId":"` + mine + `","status":"pending","because":"` + strings.Repeat("x", maxBecause+1) + `","helps":[]}`, false},
		{"too much help", decodeWhy, `{"taskId":"` + mine + `","status":"pending","because":"","helps":[` + strings.Repeat(`"",`, maxHelps) + `""]}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.decode(json.RawMessage(tt.text)); (err == nil) != tt.ok {
				t.Error(err)
			}
		})
	}
}

// FuzzAnswers: nothing that a region answers breaks a gateway, and what is taken
// keeps the bounds.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"tasks":[{"taskId":"a","progress":0.5}]}`), uint64(0))
	f.Add([]byte(`{"events":[{"id":"6","event":"received","taskId":"`+sampleTask+`"}],"final":true}`), uint64(5))
	f.Add([]byte(`{"taskId":"`+sampleTask+`","because":"x","helps":["y"]}`), uint64(1))
	f.Fuzz(func(t *testing.T, b []byte, after uint64) {
		if tasks, err := DecodeTaskList(b, 3); err == nil && len(tasks) > 3 {
			t.Errorf("%d tasks", len(tasks))
		}
		if told, err := DecodeTaskEvents(b, sampleTask, after); err == nil {
			for _, e := range told.Events {
				if e.ID <= after {
					t.Errorf("event %d after %d", e.ID, after)
				}
				after = e.ID
			}
		}
		if why, err := DecodeTaskWhy(b, sampleTask); err == nil && len(why.Helps) > maxHelps {
			t.Errorf("%d helps", len(why.Helps))
		}
	})
}
