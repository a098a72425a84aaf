package journaltest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal"
)

// What is read of many jobs at once: lists, and what is open.

func lists(t *testing.T, j journal.Journal) {
	for _, n := range []int{3, 1, 2, 5, 4} {
		commit(t, j, n)
	}
	for _, n := range []int{2, 4} {
		if _, err := j.End(context.Background(), completed(NewJob(n).ID), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		state core.TaskState
		limit int
		want  []int
	}{
		{"", 10, []int{5, 4, 3, 2, 1}},
		{"", 2, []int{5, 4}},
		{core.TaskCompleted, 10, []int{4, 2}},
		{core.TaskPending, 2, []int{5, 3}},
		{core.TaskExpired, 10, nil},
		{"", 0, nil},
		{"", -1, nil},
	} {
		var got []core.TaskID
		for _, job := range j.List(journal.Filter{State: c.state, Limit: c.limit}) {
			got = append(got, job.ID)
		}
		var want []core.TaskID
		for _, n := range c.want {
			want = append(want, NewJob(n).ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("list(%q, %d) = %v, want %v", c.state, c.limit, got, want)
		}
	}
}

func pages(t *testing.T, j journal.Journal) {
	for n := range 7 {
		commit(t, j, n)
	}
	for _, n := range []int{1, 4} {
		if _, err := j.End(context.Background(), completed(NewJob(n).ID), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	var got []core.TaskID
	for at := (journal.Cursor{}); ; {
		page := j.List(journal.Filter{After: at, Limit: 3})
		if len(page) == 0 {
			break
		}
		for _, job := range page {
			got = append(got, job.ID)
			at = journal.Cursor{Created: job.Created, ID: job.ID}
		}
	}
	var want []core.TaskID
	for n := 6; n >= 0; n-- {
		want = append(want, NewJob(n).ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages = %v, want %v", got, want)
	}
	if none := j.List(journal.Filter{Type: "other", Limit: 10}); len(none) != 0 {
		t.Errorf("%d jobs of another type", len(none))
	}
	if all := j.List(journal.Filter{Type: "compute", Except: "compute", Limit: 10}); len(all) != 7 {
		t.Errorf("%d jobs of the type", len(all))
	}
	if others := j.List(journal.Filter{Except: "compute", Limit: 10}); len(others) != 0 {
		t.Errorf("%d jobs besides those of the type", len(others))
	}
}

func openJobs(t *testing.T, j journal.Journal) {
	for _, n := range []int{2, 1, 3} {
		commit(t, j, n)
	}
	part := func(i int, out string) jobs.Part {
		return jobs.Part{Index: i, Output: []byte(out), Proof: core.Proof{NodeID: "w1"}, Region: "us-east"}
	}
	recorded := make(chan int, 4)
	for _, p := range []jobs.Part{part(0, "1"), part(5, "2"), part(0, "3")} { // the first stays
		if err := j.Keep(NewJob(1).ID, p, func() { recorded <- p.Index }); err != nil {
			t.Fatal(err)
		}
	}
	for seen := map[int]bool{}; len(seen) < 2; { // the third part is heard of only if the first was recorded by then
		seen[<-recorded] = true
	}
	if err := j.Keep(NewJob(1).ID, part(5, "4"), func() { recorded <- 55 }); err != nil {
		t.Fatal(err)
	}
	for n := <-recorded; n != 55; n = <-recorded { // a part of that number is recorded already, and its caller hears so
	}
	if _, err := j.End(context.Background(), completed(NewJob(2).ID), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := j.Keep(NewJob(2).ID, part(0, "1"), nil); !errors.Is(err, core.Conflict) {
		t.Errorf("keeping a part of a final job: %v", err)
	}
	if err := j.Keep("nobody", part(0, "1"), nil); !errors.Is(err, core.NotFound) {
		t.Errorf("keeping a part of an unknown job: %v", err)
	}
	got := j.Open()
	if len(got) != 2 || got[0].Job.ID != NewJob(1).ID || got[1].Job.ID != NewJob(3).ID || len(got[1].Parts) != 0 || string(got[1].Job.Spec.Data) != `{"n":1}` {
		t.Fatalf("open: %+v", got)
	}
	kept := map[int]string{}
	parts := append(got[0].Parts, got[0].Unsure...) // Keep does not wait
	for _, p := range parts {
		kept[p.Index] = string(p.Output) + string(p.Proof.NodeID) + string(p.Region)
	}
	if len(parts) != 2 || kept[0] != "1w1us-east" || kept[5] != "2w1us-east" {
		t.Errorf("kept %v", kept)
	}
}
