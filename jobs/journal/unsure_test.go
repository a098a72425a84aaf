package journal_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/journal/journaltest"
)

// TestUnsureParts: a part whose record failed with the term is told apart from
// those that are recorded, and is recorded when it is kept again in a later term.
func TestUnsureParts(t *testing.T) {
	disk := journaltest.NewDisk(rand.New(rand.NewPCG(1, 1)), func() time.Duration { return time.Millisecond })
	cfg := alone(t)
	cfg.Disk, cfg.Election = disk, 100*time.Millisecond
	g := serve(t, cfg)
	before := g.leads(t)
	job, part := journaltest.NewJob(1), jobs.Part{Index: 3, Output: []byte("7")}
	if err := g.Commit(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	disk.Fail(errors.New("writing: input/output error"))
	if err := g.Keep(job.ID, part, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the term", func() bool { _, _, ok := g.Leader(); return !ok })
	if o := g.Open(); len(o) != 1 || len(o[0].Parts) != 0 || len(o[0].Unsure) != 1 || string(o[0].Unsure[0].Output) != "7" {
		t.Errorf("without a record: %+v", o)
	}
	disk.Fail(nil)
	if epoch := g.leads(t); epoch <= before {
		t.Errorf("epoch %d follows %d", epoch, before)
	}
	if err := g.Keep(job.ID, part, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record", func() bool { o := g.Open(); return len(o[0].Parts) == 1 && len(o[0].Unsure) == 0 })
}
