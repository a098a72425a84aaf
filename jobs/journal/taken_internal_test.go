package journal

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
)

// TestTakenKeepsEverything: a subtask of another region comes back as it was, from
// an entry and from a snapshot. One with such subtasks is of version 2, one without
// is of version 1, which older programs read.
func TestTakenKeepsEverything(t *testing.T) {
	want := sampleTaken()
	for i, v := 0, reflect.ValueOf(want.Offer); i < v.NumField(); i++ {
		switch name := v.Type().Field(i).Name; name {
		case "Data", "Regions", "SpecHash": // the record's own, and of whole jobs
		default:
			if v.Field(i).IsZero() {
				t.Errorf("the sample has no %s", name)
			}
		}
	}
	b, err := encodeTaken(want)
	if err != nil {
		t.Fatal(err)
	}
	e, err := splitEntry(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.taken(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for version, s := range map[byte]snapshot{
		1: {head: snapshotHead{Group: "g", Applied: 1, Jobs: 1}, open: []OpenJob{{Job: sampleJob(jobs.Committed)}}},
		2: {head: snapshotHead{Group: "g", Applied: 1, Jobs: 1, Taken: 1}, open: []OpenJob{{Job: sampleJob(jobs.Committed)}}, taken: []Taken{want}},
	} {
		var b bytes.Buffer
		if err := s.write(&b); err != nil {
			t.Fatal(err)
		}
		got, err := readSnapshot(bufioReader(b.Bytes()))
		if err != nil || b.Bytes()[4] != version || len(got.open) != 1 || len(got.taken.by) != len(s.taken) {
			t.Errorf("version %d came back as %+v, %v", b.Bytes()[4], got, err)
		}
		if len(s.taken) > 0 && (!reflect.DeepEqual(got.taken.by[want.Key()], want) || got.taken.bytes != len(want.Data)) {
			t.Errorf("it came back as %+v", got.taken)
		}
	}
}

// TestBadTakenSnapshots: a snapshot whose subtasks of other regions do not hold
// together is refused.
func TestBadTakenSnapshots(t *testing.T) {
	write := func(s snapshot, change func([]byte)) []byte {
		var b bytes.Buffer
		if err := s.write(&b); err != nil {
			t.Fatal(err)
		}
		change(b.Bytes())
		return b.Bytes()
	}
	one := sampleTaken()
	nothing := func([]byte) {}
	for name, c := range map[string]struct {
		bytes []byte
		kind  core.Kind
	}{
		"in version 1":   {write(snapshot{head: snapshotHead{Taken: 1}, taken: []Taken{one}}, func(b []byte) { b[4] = 1 }), core.Corrupt},
		"of version 3":   {write(snapshot{}, func(b []byte) { b[4] = 3 }), core.Unsupported},
		"twice":          {write(snapshot{head: snapshotHead{Taken: 2}, taken: []Taken{one, one}}, nothing), core.Corrupt},
		"too many":       {write(snapshot{head: snapshotHead{Taken: maxTaken + 1}, taken: []Taken{one}}, nothing), core.Corrupt},
		"a negative one": {write(snapshot{head: snapshotHead{Taken: -1}, taken: []Taken{one}}, nothing), core.Corrupt},
		"fewer":          {write(snapshot{head: snapshotHead{Taken: 2}, taken: []Taken{one}}, nothing), core.Internal},
	} {
		if _, err := readSnapshot(bufioReader(c.bytes)); core.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTakenTable: records are bounded in count and bytes, void from their deadline
// on, replaced by a later lease of the same subtask, and released only for the lease
// they are about.
func TestTakenTable(t *testing.T) {
	at := sampleTaken().At
	record := func(n, bytes int, life time.Duration) Taken {
		r := sampleTaken()
		r.Offer.TaskID, r.Offer.Deadline = core.TaskID(fmt.Sprint("t", n)), at.Add(life)
		r.Data = make([]byte, bytes)
		return r
	}
	table := newTakenTable()
	for n := range maxTaken {
		if err := table.take(record(n, 1, time.Duration(1+n%2)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.take(record(maxTaken, 1, time.Hour)); !errors.Is(err, core.Exhausted) {
		t.Errorf("one beyond: %v", err)
	}
	again := record(1, 5, 2*time.Hour)
	if err := table.take(again); err != nil || table.bytes != maxTaken {
		t.Errorf("the same lease again: %v, %d bytes", err, table.bytes)
	}
	again.Offer.Lease++
	if err := table.take(again); err != nil || table.bytes != maxTaken+4 {
		t.Errorf("a later lease: %v, %d bytes", err, table.bytes)
	}
	table.release(again.Key(), again.Offer.Lease-1)
	if len(table.by) != maxTaken {
		t.Error("a release of an earlier lease counts")
	}
	table.release(again.Key(), again.Offer.Lease)
	table.release(jobs.Key{Task: "unknown"}, 1)
	if len(table.by) != maxTaken-1 || table.bytes != maxTaken-1 {
		t.Errorf("%d records of %d bytes are left", len(table.by), table.bytes)
	}
	if got := table.list(at.Add(time.Hour)); len(got) != maxTaken/2-1 {
		t.Errorf("after an hour %d are listed", len(got))
	}
	late := record(maxTaken+1, maxTakenBytes-maxTaken/2, 3*time.Hour)
	late.At = at.Add(time.Hour)
	if err := table.take(late); err != nil || len(table.by) != maxTaken/2 {
		t.Errorf("beside those that are void: %v, %d records", err, len(table.by))
	}
	late.Offer.TaskID = "more bytes"
	if err := table.take(late); !errors.Is(err, core.Exhausted) {
		t.Errorf("more bytes: %v", err)
	}
}
