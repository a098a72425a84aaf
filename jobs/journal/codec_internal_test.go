package journal

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

var update = flag.Bool("update", false, "write the goldens")

// sampleJob has every field set.
func sampleJob(state jobs.State) jobs.Job {
	at := time.Date(2026, 11, 20, 9, 0, 0, 7, time.UTC)
	j := jobs.NewJob("us-east-0190b5a4-7e3c-7cc0-8000-000000000001", core.TaskSpec{Type: "compute", Data: []byte(` {"n" : 1}`), Parallelism: 2,
		Priority: -3, Deadline: at.Add(time.Hour), Submitter: "alice"}, "gateway", at)
	j.Regions, j.SpecHash = []core.RegionID{"us-east", "eu-west"}, core.Sum([]byte("spec"))
	j.State, j.Subtasks, j.Done, j.Worth, j.Partial = state, 2, 1, 300, 0.5
	j.Trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	j.Pool = jobs.NewPool([]core.NodeID{"w1", "w2"})
	j.Attempts = []core.Attempt{{Index: 1, Attempt: 1, Worker: "w1", Started: at, Outcome: "ok"}}
	if state.Final() {
		j.Spec.Data = nil
		j.Result = core.TaskResult{TaskID: j.ID, Status: core.TaskCompleted, Result: []byte("[1,  2]"), Workers: []core.NodeID{"w1"}, Proofs: []core.Proof{{NodeID: "w1"}}}
	}
	return j
}

// sampleTaken has every field of the record set.
func sampleTaken() Taken {
	at := time.Date(2026, 11, 20, 9, 0, 0, 7, time.UTC)
	data := []byte(` {"n" : 1}`)
	spec := core.TaskSpec{Type: "compute", Data: data, Priority: -3, Submitter: "alice"}
	return Taken{Home: "us-east", At: at, Data: data, Offer: wire.JobOffer{Lease: 12884901929, TaskID: "us-east-1", Index: 3, Attempt: 2, Epoch: 3,
		Class: wire.ClassSubtask, Task: wire.Head(spec), InputHash: core.Sum(data), Deadline: at.Add(time.Hour), TTLMS: 15000, Gateway: "gateway",
		Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}
}

func samples(t testing.TB) map[string][]byte {
	must := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	plain := func(j jobs.Job) jobs.Job { j.Worth, j.Trace = 0, ""; return j }
	return map[string][]byte{
		"founded":  must(appendEntry(nil, entryFounded, foundedHead{Group: "00112233445566778899aabbccddeeff"}, nil)),
		"accepted": must(encodeAccepted(plain(sampleJob(jobs.Committed)))),
		"part":     must(encodePart("us-east-1", jobs.Part{Index: 3, Output: []byte("{ }"), Proof: core.Proof{NodeID: "w1"}, Region: "eu-west"})),
		"shared":   must(encodePart("us-east-1", jobs.Part{Index: 3, Output: []byte("{ }"), Proof: core.Proof{NodeID: "w1", Inclusion: []byte{0, 2}}})),
		"ended":    must(encodeEnded(plain(sampleJob(jobs.Completed)))),
		"traced":   must(encodeAccepted(sampleJob(jobs.Committed))),
		"worth":    must(encodeEnded(sampleJob(jobs.Completed))),
		"forgot":   must(appendEntry(nil, entryForgot, forgotHead{Created: at, ID: "us-east-1"}, nil)),
		"taken":    must(encodeTaken(sampleTaken())),
		"released": must(appendEntry(nil, entryReleased, releasedHead{ID: "us-east-1", Index: 3, Lease: 12884901929}, nil)),
		"batch":    must(encodeBatch([][]byte{{1, 2, 3}, {1, 3, 4, 5}})),
	}
}

// TestEntryGoldens: the bytes of every kind of entry are those of
// docs/spec/journal.md; a change needs a new version.
func TestEntryGoldens(t *testing.T) {
	for name, got := range samples(t) {
		path := filepath.Join("testdata", "entry_"+name+".hex")
		if *update {
			if err := os.WriteFile(path, []byte(hex.Dump(got)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path); err != nil || string(want) != hex.Dump(got) {
			t.Errorf("%s is now\n%s%v", name, hex.Dump(got), err)
		}
	}
}

// TestEntryKeepsEverything: a job and a part come back as they were, to the byte
// and with every field.
func TestEntryKeepsEverything(t *testing.T) {
	for _, state := range []jobs.State{jobs.Committed, jobs.Completed} {
		want := sampleJob(state)
		for i, v := 0, reflect.ValueOf(want); i < v.NumField(); i++ {
			if name := v.Type().Field(i).Name; v.Field(i).IsZero() && (name != "Result" || state.Final()) {
				t.Errorf("the sample has no %s", name)
			}
		}
		b, err := encodeAccepted(want)
		if state.Final() {
			b, err = encodeEnded(want)
		}
		if err != nil {
			t.Fatal(err)
		}
		e, err := splitEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.job(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", state, got, err)
		}
	}
	for _, inclusion := range [][]byte{nil, {0, 2, 7}} {
		want := jobs.Part{Index: 3, Output: []byte("[ 1 ]"), Proof: core.Proof{NodeID: "w1", Inclusion: inclusion}, Region: "eu-west"}
		b, err := encodePart("id", want)
		if err != nil {
			t.Fatal(err)
		}
		e, err := splitEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		if id, got, err := e.part(); err != nil || id != "id" || !reflect.DeepEqual(got, want) {
			t.Errorf("got %s %+v, %v", id, got, err)
		}
	}
}

// TestVersions: what has a proof that shares its signature, or says what its parts are
// worth or to which trace it belongs, is of a version that programs refuse which would lose it; everything else they
// can still read.
func TestVersions(t *testing.T) {
	alone, shared, worth := sampleJob(jobs.Completed), sampleJob(jobs.Completed), sampleJob(jobs.Completed)
	alone.Worth, shared.Worth, alone.Trace, shared.Trace = 0, 0, "", ""
	shared.Result.Proofs = []core.Proof{{NodeID: "w1"}, {NodeID: "w2", Inclusion: []byte{0, 2, 7}}}
	for want, j := range map[byte]jobs.Job{1: alone, 4: shared, 5: worth} {
		b, err := encodeEnded(j)
		if err != nil || b[0] != want {
			t.Fatalf("the end is of version %d, want %d, %v", b[0], want, err)
		}
		e, err := splitEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.job(); err != nil || !reflect.DeepEqual(got, j) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if got := samples(t); got["part"][0] != 1 || got["shared"][0] != 4 || got["accepted"][0] != 1 || got["traced"][0] != 5 {
		t.Errorf("parts are of version %d and %d, accepted jobs of %d and %d", got["part"][0], got["shared"][0], got["accepted"][0], got["traced"][0])
	}
}

// TestBadEntries: what is no entry of this version is refused by its kind.
func TestBadEntries(t *testing.T) {
	good := samples(t)
	edit := func(name string, fn func([]byte) []byte) []byte { return fn(bytes.Clone(good[name])) }
	for name, c := range map[string]struct {
		entry []byte
		kind  core.Kind
	}{
		"empty":         {nil, core.Corrupt},
		"version alone": {[]byte{1}, core.Corrupt},
		"newer version": {edit("ended", func(b []byte) []byte { b[0] = 6; return b }), core.Unsupported},
		"newer kind":    {edit("part", func(b []byte) []byte { b[0] = 5; return b }), core.Unsupported},
		"no version":    {edit("ended", func(b []byte) []byte { b[0] = 2; return b }), core.Corrupt},
		"kind 0":        {edit("ended", func(b []byte) []byte { b[1] = 0; return b }), core.Corrupt},
		"kind 6":        {edit("ended", func(b []byte) []byte { b[1] = 6; return b }), core.Corrupt},
		"batch of 1.0":  {edit("batch", func(b []byte) []byte { b[0] = 1; return b }), core.Corrupt},
		"batch in one":  {inBatch(t, good["batch"]), core.Corrupt},
		"half a batch":  {edit("batch", func(b []byte) []byte { b[len(b)-5] = 3; return b }), core.Corrupt},
		"cut":           {edit("ended", func(b []byte) []byte { return b[:len(b)-1] }), core.Corrupt},
		"longer":        {edit("ended", func(b []byte) []byte { return append(b, 0) }), core.Corrupt},
		"head too long": {[]byte{1, 2, 0xff, 0xff, 0xff, 0xff, 0x7f}, core.Corrupt},
		"head no JSON":  {[]byte{1, 2, 1, '{', 0}, core.Corrupt},
		"unknown field": {append(append([]byte{1, 2, 9}, `{"Odd":1}`...), 0), core.Corrupt},
		"trailing JSON": {append(append([]byte{1, 1, 5}, `{} {}`...), 0), core.Corrupt},
		"no id":         {append(append([]byte{1, 2, 2}, `{}`...), 0), core.Corrupt},
		"taken of 2.0":  {edit("taken", func(b []byte) []byte { b[0] = 2; return b }), core.Corrupt},
		"taken of 4.0":  {edit("taken", func(b []byte) []byte { b[0] = 4; return b }), core.Unsupported},
		"other data":    {edit("taken", func(b []byte) []byte { b[len(b)-1] = 'x'; return b }), core.Corrupt},
		"release none":  {append(append([]byte{3, 7, 2}, `{}`...), 0), core.Corrupt},
		"open end":      {edit("accepted", func(b []byte) []byte { b[1] = byte(entryEnded); return b }), core.Corrupt},
	} {
		t.Run(name, func(t *testing.T) {
			if err := readEntry(c.entry); !errors.Is(err, c.kind) {
				t.Errorf("got %v, want %s", err, c.kind)
			}
		})
	}
}

func inBatch(t *testing.T, entry []byte) []byte {
	t.Helper()
	b, err := encodeBatch([][]byte{entry})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBatchKeepsItsEntries: what is joined is taken apart again.
func TestBatchKeepsItsEntries(t *testing.T) {
	good := samples(t)
	want := [][]byte{good["accepted"], good["part"], good["ended"]}
	b, err := encodeBatch(want)
	if err != nil {
		t.Fatal(err)
	}
	e, err := splitEntry(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.entries(b)
	if err != nil || !reflect.DeepEqual(got, want) || countEntries(b) != 3 || countEntries(want[0]) != 1 {
		t.Errorf("got %d entries, %v", len(got), err)
	}
}

// readEntry decodes whatever an entry holds.
func readEntry(b []byte) error {
	e, err := splitEntry(b)
	if err != nil {
		return err
	}
	switch e.kind {
	case entryAccepted, entryEnded:
		_, err = e.job()
	case entryPart:
		_, _, err = e.part()
	case entryFounded:
		err = e.decodeHead(new(foundedHead))
	case entryForgot:
		err = e.decodeHead(new(forgotHead))
	case entryTaken:
		_, err = e.taken()
	case entryReleased:
		_, err = e.released()
	case entryBatch:
		_, err = e.entries(b)
	}
	return err
}

// FuzzEntry: nothing makes the decoder panic, and what it takes apart it puts
// together to the same bytes.
func FuzzEntry(f *testing.F) {
	for _, b := range samples(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := readEntry(b); err != nil {
			if k := core.KindOf(err); k != core.Corrupt && k != core.Unsupported {
				t.Errorf("%s: %v", k, err)
			}
			return
		}
		e, _ := splitEntry(b)
		if len(e.head)+len(e.blob) > len(b) {
			t.Error("more came out than went in")
		}
	})
}

// FuzzSegment: no bytes make the reading of a log file panic, and what it calls
// good is inside the file.
func FuzzSegment(f *testing.F) {
	f.Add(make([]byte, 64))
	f.Add([]byte("\x0d\x6b\xeb\x58............................\x01\x00\x00\x00\x02\x00\x00\x00ab......\x03\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := walkSegment(b)
		if w.end < 0 || w.end > len(b) || w.end+w.dirty > len(b) || w.dirty < 0 {
			t.Errorf("%+v of %d bytes", w, len(b))
		}
	})
}

// FuzzSnapshot: no bytes make the reading of a snapshot panic or take much memory.
func FuzzSnapshot(f *testing.F) {
	s := snapshot{head: snapshotHead{Group: "g", Applied: 1, Jobs: 1},
		open: []OpenJob{{Job: sampleJob(jobs.Committed), Parts: []jobs.Part{{Index: 1, Output: []byte("1")}}}}}
	var b bytes.Buffer
	if err := s.write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(b.Bytes()))
	s.taken, s.head.Taken = []Taken{sampleTaken()}, 1
	b.Reset()
	if err := s.write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) { _, _ = readSnapshot(bufioReader(b)) })
}

func bufioReader(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }
