package regional

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/wire"
)

// helped runs a test with two regions, the second of which helps the first.
func helped(t *testing.T, test func(t *testing.T, home, helper *rig, join func(slots int) dispatch.Link)) {
	synctest.Test(t, func(t *testing.T) {
		home, helper := newRig(t, east, 1000, options{}), newRig(t, west, 2000, options{})
		defer home.stop()
		defer helper.stop()
		test(t, home, helper, func(slots int) dispatch.Link {
			coordinator := ad(t, helper.id, func(a *wire.Ad) { a.Region, a.Can = west, core.CanCoordinate })
			if _, err := home.table.Put(coordinator, time.Now()); err != nil {
				t.Fatal(err)
			}
			return home.serve(helper.v, helper.id.ID(), slots, wire.ClassSubtask, jobs.ChildInfo{ID: helper.id.ID(), Region: west})
		})
	})
}

// westWorker joins a worker of the helping region.
func westWorker(r *rig, n, slots int) *worker {
	return r.worker(n, slots, func(a *wire.Ad) { a.Region = west })
}

// TestOtherRegionHelps: when subtasks wait here, other regions are asked to pull
// them; their workers sign, and the result names both.
//
// spec 0.2 0.25
func TestOtherRegionHelps(t *testing.T) {
	helped(t, func(t *testing.T, home, helper *rig, join func(int) dispatch.Link) {
		busy, far := home.worker(1, 1, nil), westWorker(helper, 2, 8)
		gate := make(chan struct{})
		busy.run = func(_ context.Context, data []byte) *wire.JobResult {
			<-gate
			return busy.compute(data)
		}
		spec := specOf(numbers(1000), `["square","sum"]`, 5)
		j := home.offer(jobID, spec, east, west)
		if len(home.spread) != 1 || !slices.Equal(home.spread[0], []core.RegionID{west}) {
			t.Fatalf("asked to spread to %v", home.spread)
		}
		join(8)
		settle()
		close(gate)
		if got := j.completed(); got != alone(t, spec) {
			t.Errorf("the job gives %s", got)
		}
		if got := j.result; !slices.Equal(got.Regions, []core.RegionID{east, west}) || !slices.Equal(got.Workers, []core.NodeID{busy.id.ID(), far.id.ID()}) {
			t.Errorf("computed by %v in %v", got.Workers, got.Regions)
		}
		time.Sleep(time.Second)
		if n, per := far.credits(), busy.credits(); n < 4*per || len(far.offers()) != 4 {
			t.Errorf("the helping worker was paid %d for %d subtasks, the other %d for one", n, len(far.offers()), per)
		}
		home.idle()
		helper.idle()
	})
}

// TestNoSpreadWithRoom: other regions are left alone while there is room here.
func TestNoSpreadWithRoom(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.worker(1, 8, nil)
		r.offer(jobID, specOf(numbers(100), `["sum"]`, 5), east, west).completed()
		if len(r.spread) != 0 {
			t.Errorf("asked to spread to %v", r.spread)
		}
	})
}

// TestHelpingRegionChecksToo: a liar in the helping region is found there, and
// the home never hears of it.
func TestHelpingRegionChecksToo(t *testing.T) {
	helped(t, func(t *testing.T, home, helper *rig, join func(int) dispatch.Link) {
		liar := westWorker(helper, 1, 4)
		liar.run = func(_ context.Context, data []byte) *wire.JobResult {
			return liar.answer(data, json.RawMessage(`"55"`))
		}
		join(4)
		j := home.offer(jobID, sample(), east, west)
		settle()
		honest := westWorker(helper, 2, 4)
		if got := j.completed(); got != "55" || !slices.Equal(j.result.Workers, []core.NodeID{honest.id.ID()}) {
			t.Errorf("%v gives %s", j.result.Workers, got)
		}
		if got := helper.conductOf(liar.id.ID()); !slices.Equal(got, []dispatch.Conduct{dispatch.Lied}) {
			t.Errorf("the liar's conduct is %v", got)
		}
		if got := home.conductOf(helper.id.ID()); slices.Contains(got, dispatch.Lied) {
			t.Errorf("the helping region's conduct is %v", got)
		}
	})
}

// TestLyingRegion: a region that passes on what no worker signed is blamed.
func TestLyingRegion(t *testing.T) {
	helped(t, func(t *testing.T, home, helper *rig, join func(int) dispatch.Link) {
		liar := &worker{id: helper.id}
		liar.run = func(_ context.Context, data []byte) *wire.JobResult {
			r := (&worker{id: identity(7)}).compute(data)
			r.Proofs[0].Signature = slices.Repeat([]byte{1}, 64)
			r.Regions = []core.RegionID{west}
			return r
		}
		if _, err := home.table.Put(ad(t, helper.id, func(a *wire.Ad) { a.Region, a.Can = west, core.CanCoordinate }), time.Now()); err != nil {
			t.Fatal(err)
		}
		home.serve(liar, helper.id.ID(), 4, wire.ClassSubtask, jobs.ChildInfo{ID: helper.id.ID(), Region: west})
		j := home.offer(jobID, sample(), east, west)
		settle()
		if got := home.conductOf(helper.id.ID()); !slices.Equal(got, []dispatch.Conduct{dispatch.Lied}) {
			t.Errorf("its conduct is %v", got)
		}
		home.worker(1, 1, nil)
		if got := j.completed(); got != "55" {
			t.Errorf("the job gives %s", got)
		}
	})
}

// TestHelperHasNobody: that another region has nobody able does not end the job:
// it waits for somebody here.
func TestHelperHasNobody(t *testing.T) {
	helped(t, func(t *testing.T, home, helper *rig, join func(int) dispatch.Link) {
		join(4)
		spec := sample()
		spec.QueueTimeoutMS = 2000
		j := home.offer(jobID, spec, east, west)
		settle()
		home.worker(1, 1, nil)
		if got := j.completed(); got != "55" || !slices.Equal(j.result.Regions, []core.RegionID{east}) {
			t.Errorf("%v gives %s", j.result.Regions, got)
		}
		helper.idle()
	})
}

// TestRelayIsRevoked: when the home takes a subtask back, the worker in the
// helping region hears it.
func TestRelayIsRevoked(t *testing.T) {
	helped(t, func(t *testing.T, home, helper *rig, join func(int) dispatch.Link) {
		far := westWorker(helper, 1, 4)
		far.block()
		join(4)
		j := home.offer(jobID, sample(), east, west)
		settle()
		if err := home.v.Cancel(home.ctx, jobID); err != nil {
			t.Fatal(err)
		}
		if f := j.failed(); f.Reason != core.ReasonCancelled {
			t.Errorf("ended with %v", f)
		}
		helper.idle()
		var f *core.Failure
		if len(far.causes) != 1 || !errors.As(far.causes[0], &f) || f.Reason != core.ReasonCancelled {
			t.Errorf("the worker ended for %v", far.causes)
		}
	})
}

// TestRelayRefusals: what cannot be relayed is answered with a reason.
func TestRelayRefusals(t *testing.T) {
	helped(t, func(t *testing.T, _, helper *rig, _ func(int) dispatch.Link) {
		relay := func(spec core.TaskSpec) *wire.JobResult {
			return helper.v.relay(helper.v.current(), offerOf(jobID, spec))(helper.ctx, spec.Data, func(float64) {})
		}
		if r := relay(specOf(`[1]`, `["guess"]`, 0)); r.Failure == nil || r.Failure.Reason != core.ReasonInvalidInput {
			t.Errorf("a broken subtask: %+v", r)
		}
		spec := sample()
		spec.QueueTimeoutMS = 1000
		if r := relay(spec); r.Failure == nil || r.Failure.Reason != core.ReasonAttemptsExhausted || !strings.Contains(r.Failure.Message, "no worker is online") {
			t.Errorf("nobody able: %+v", r.Failure)
		}
		westWorker(helper, 1, 1).block()
		go relay(spec)
		settle()
		if r := relay(spec); r.Failure == nil || r.Failure.Reason != core.ReasonInternal {
			t.Errorf("the same subtask twice: %+v", r)
		}
	})
}
