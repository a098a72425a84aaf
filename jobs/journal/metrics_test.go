package journal_test

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenzro/tenzro/jobs/journal"
)

// gauge reads one figure of a registry.
func gauge(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("%s is not there", name)
	return 0
}

// TestAlarmGauges: what the shipped alarms ask of a coordinator follows its group,
// from three that agree to a leader that is left alone.
func TestAlarmGauges(t *testing.T) {
	n, regs := newMemNet(), map[string]*prometheus.Registry{}
	groups := trio(t, n, func(c *journal.GroupConfig) {
		reg := prometheus.NewRegistry()
		c.Dead, c.Registerer, c.Free = 2*time.Second, reg, func(string) (uint64, error) { return 7 << 30, nil }
		regs[string(c.Self)] = reg
	})
	reads := func(want map[string]float64, of ...*served) func() bool {
		return func() bool {
			return slices.ContainsFunc(of, func(g *served) bool {
				for name, v := range want {
					if gauge(t, regs[string(g.ID)], "tenzro_journal_"+name) != v {
						return false
					}
				}
				return true
			})
		}
	}
	eventually(t, "a leader sees three voters", reads(map[string]float64{"members": 3, "voters": 3, "voters_silent": 0,
		"leads": 1, "leader_known": 1, "free_bytes": 7 << 30}, groups...))
	eventually(t, "another knows the leader", reads(map[string]float64{"leads": 0, "leader_known": 1, "voters_silent": 0}, groups...))
	n.Cut(groups[0].ID, true)
	eventually(t, "a leader misses one", reads(map[string]float64{"voters_silent": 1, "leads": 1}, groups[1:]...))
	n.Cut(groups[1].ID, true)
	eventually(t, "who is left has no leader", reads(map[string]float64{"leads": 0, "leader_known": 0, "voters_silent": 0}, groups[2]))
}
