package global

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// TestKeyedID: a key has one id in a home, whoever computes it, and keys do not
// share one.
func TestKeyedID(t *testing.T) {
	got := keyedID(east, keyOf("", "order-7"))
	if u, err := uuid.Parse(strings.TrimPrefix(string(got), "us-east-")); err != nil || u.Version() != 8 || u.Variant() != uuid.RFC4122 {
		t.Errorf("the id is %s: %v", got, err)
	}
	if home, ok := got.Home(); !ok || home != east {
		t.Errorf("its home is %s", home)
	}
	if got != keyedID(east, keyOf("", "order-7")) || got == keyedID(east, "order-8") || got == keyedID(west, "order-7") {
		t.Errorf("the id %s does not belong to one key", got)
	}
}

// TestKeyedHome: every gateway gives a key the same home, a region that goes
// moves only its own keys, and keys spread over the regions.
func TestKeyedHome(t *testing.T) {
	a, b, c := core.RegionID("a"), core.RegionID("b"), core.RegionID("c")
	homes := map[core.RegionID]int{}
	for n := range 300 {
		key := fmt.Sprint(n)
		home := keyedHome([]core.RegionID{a, b, c}, key)
		if other := keyedHome([]core.RegionID{c, a, b}, key); other[0] != home[0] || len(home) != 3 {
			t.Fatalf("key %s is at home in %v and %v", key, home, other)
		}
		if without := keyedHome([]core.RegionID{a, b}, key); home[0] != c && without[0] != home[0] {
			t.Fatalf("key %s moved from %s to %s", key, home[0], without[0])
		}
		homes[home[0]]++
	}
	for r, n := range homes {
		if n < 60 {
			t.Errorf("region %s has %d of 300 keys", r, n)
		}
	}
}

// TestKeyAtAnotherGateway: a key that was used through another gateway, or before
// this one restarted, finds the same task; with another task it is refused.
func TestKeyAtAnotherGateway(t *testing.T) {
	for name, c := range map[string]struct {
		hash core.Digest
		want error
	}{
		"the same task": {digest(sample()), nil},
		"another task":  {core.Sum([]byte("other")), core.Exists},
	} {
		t.Run(name, func(t *testing.T) {
			linked(t, func(t *testing.T, r *rig, g *region) {
				s := r.submit(sample(), "order-7")
				q := next[*wire.JobQuery](g)
				if q.TaskID != keyedID(east, keyOf("", "order-7")) || q.Op != wire.QueryStatus {
					t.Fatalf("the home is asked %+v", q)
				}
				status := core.TaskStatus{TaskID: q.TaskID, Status: core.TaskRunning, Type: "compute", Region: east, Created: time.Now().UTC(), Updated: time.Now().UTC()}
				g.send(&wire.JobState{ID: q.ID, Status: &status, SpecHash: c.hash})
				if c.want == nil {
					o := next[*wire.JobOffer](g)
					if o.TaskID != q.TaskID || o.SpecHash != c.hash {
						t.Fatalf("offered %+v", o)
					}
					g.send(&wire.JobAccept{Lease: o.Lease})
				}
				<-s.done
				if !errors.Is(s.err, c.want) || s.err == nil && s.status.TaskID != q.TaskID {
					t.Errorf("submitted as %+v, %v", s.status, s.err)
				}
			})
		})
	}
}

// TestUnrecordedTaskIsAskedFor: a task that this gateway could not hand over may be
// known at its home through another one: the home's word counts.
func TestUnrecordedTaskIsAskedFor(t *testing.T) {
	linked(t, func(t *testing.T, r *rig, g *region) {
		s := r.submit(sample(), "order-7")
		g.ignorant()
		o := next[*wire.JobOffer](g) // never accepted here
		got := make(chan core.TaskResult, 1)
		go func() {
			result, err := r.c.Result(t.Context(), o.TaskID, 0)
			if err != nil {
				t.Error(err)
			}
			got <- result
		}()
		q := next[*wire.JobQuery](g)
		status := core.TaskStatus{TaskID: q.TaskID, Status: core.TaskCompleted, Type: "compute", Region: east, Created: time.Now().UTC(), Updated: time.Now().UTC()}
		g.send(&wire.JobState{ID: q.ID, Status: &status, Result: &core.TaskResult{TaskID: q.TaskID, Status: core.TaskCompleted}, Output: wire.Payload{Inline: []byte("55")}})
		if result := <-got; string(result.Result) != "55" {
			t.Errorf("the home's answer came as %+v", result)
		}
		<-s.done
	})
}

// TestKeyVector: home and id of a name are those of docs/spec/job.md.
func TestKeyVector(t *testing.T) {
	name := keyOf("anonymous", "order-17")
	home := keyedHome([]core.RegionID{"us-east", "eu-west"}, name)[0]
	if got, want := keyedID(home, name), core.TaskID("us-east-77c1fabc-95d9-8638-b5e1-73af3dc127a8"); got != want {
		t.Errorf("the task is %s, want %s", got, want)
	}
}
