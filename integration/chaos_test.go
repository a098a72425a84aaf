package integration

import (
	"bytes"
	"errors"
	"testing"

	"github.com/tenzro/tenzro/integration/chaos"
	"github.com/tenzro/tenzro/integration/testnet"
)

// hurt runs the short version of a scenario; every invariant must hold: nothing
// lost, duplicated or wrong, no panic, no leak, every process ends as it should.
// The full version is `go run ./integration/cmd/chaos -scenario NAME`.
func hurt(t *testing.T, name string, change func(*chaos.Options)) *chaos.Report {
	t.Helper()
	s, err := chaos.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	o := chaos.Options{Short: true, Seed: 1, Binary: testnet.Binary(t), Dir: t.TempDir(), Logf: t.Logf}
	if change != nil {
		change(&o)
	}
	report, err := chaos.Run(t.Context(), s, o)
	if errors.Is(err, chaos.ErrNoWalls) || errors.Is(err, chaos.ErrNoVolumes) {
		t.Skip(err)
	}
	if report != nil {
		var text bytes.Buffer
		_ = report.Text(&text)
		t.Logf("\n%s", &text)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range report.Broken {
		t.Error(line)
	}
	return report
}

// Workers are killed and come back while jobs come: all are completed, and no
// subtask is counted twice.
//
// spec 2.1 2.45 2.49
func TestChaosWorkers(t *testing.T) {
	if r := hurt(t, "workers", nil); len(r.Verdict.Gaps) == 0 {
		t.Error("no worker was killed")
	}
}

// F1: workers are killed that are seen to hold subtasks; somebody else runs them.
//
// spec 0.26 0.27 0.28 2.49
func TestChaosRounds(t *testing.T) {
	if r := hurt(t, "rounds", nil); len(r.Verdict.Gaps) == 0 {
		t.Error("no worker was killed at work")
	}
}

// A gateway is killed right after it acknowledged a job: the job completes
// without it, the other gateway answers for it, and so does the first one after
// its restart.
//
// spec 0.24 0.25 0.29 0.30 2.1
func TestChaosGateway(t *testing.T) { hurt(t, "gateway", nil) }

// F5: a worker that is frozen loses its leases and nothing else; when it goes on,
// what it had finished counts for nothing.
//
// spec 2.49
func TestChaosFreeze(t *testing.T) { hurt(t, "freeze", nil) }

// F13: with all bootstrap nodes gone, nodes that restart find the others.
//
// spec 2.1 2.49 2.68
func TestChaosBootstrap(t *testing.T) { hurt(t, "bootstrap", nil) }

// F6: the disk of the region's coordinator is full: tasks are refused with 507,
// reading goes on, and with space again so does everything, without a restart.
//
// spec 2.45 2.49
func TestChaosDisk(t *testing.T) {
	if r := hurt(t, "disk", nil); r.Restarts != 0 || len(r.Verdict.Gaps) == 0 {
		t.Errorf("%d restarts, gaps %v", r.Restarts, r.Verdict.Gaps)
	}
}

// Faults drawn from a seed, two at a time.
//
// spec 2.49
func TestChaosMixed(t *testing.T) { hurt(t, "mixed", nil) }

// F3: half of the nodes do not hear the other half for a while; what was handed in
// meanwhile is taken and ends when they do again.
//
// spec 2.49
func TestChaosPartition(t *testing.T) { hurt(t, "partition", nil) }

// F4: every tenth packet is lost, and no job is.
//
// spec 2.49
func TestChaosLoss(t *testing.T) { hurt(t, "loss", nil) }
