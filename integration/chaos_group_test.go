package integration

import (
	"testing"
	"time"

	"github.com/tenzro/tenzro/integration/chaos"
)

// The leader of a region of three is killed while jobs come: none is lost, less
// than 5 % run twice, and another one leads.
//
// spec 0.25 0.29 2.1 2.5
func TestChaosLeader(t *testing.T) {
	if r := hurt(t, "leader", nil); len(r.Verdict.Gaps) == 0 {
		t.Error("no leader was killed")
	}
}

// The only coordinator of a region is killed and started again in its home: what
// it acknowledged is there and ends.
//
// spec 2.5
func TestChaosSingle(t *testing.T) {
	if r := hurt(t, "single", nil); r.Restarts == 0 {
		t.Error("the coordinator was not started again")
	}
}

// A workflow goes on while nodes of every kind are killed and come back.
//
// spec 2.1
func TestChaosWorkflow(t *testing.T) { hurt(t, "workflow", nil) }

// F5: the leader is frozen and goes on; meanwhile another one leads, and what the
// old one says afterwards changes nothing.
//
// spec 2.5 2.49
func TestChaosFrozenLeader(t *testing.T) {
	hurt(t, "freeze", func(o *chaos.Options) { o.Faults, o.Pause = []string{"leader"}, 5*time.Second })
}
