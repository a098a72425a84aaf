package compute

import "github.com/tenzro/tenzro/core"

// Pressure decides when a machine has become short of something and when it has
// recovered. Two thresholds keep a value that trembles around one of them from
// producing an event each time. It is not safe for concurrent use.
type Pressure struct {
	critical  float64
	recovered float64
	isLow     bool
}

// NewPressure takes free shares, each 0..1: at or below critical a resource is
// short, at or above recovered it is not any more. Between the two nothing
// changes. A recovered below critical counts as critical.
func NewPressure(critical, recovered float64) *Pressure {
	return &Pressure{critical: critical, recovered: max(critical, recovered)}
}

// Observe takes a sample. The node is critical when any one resource is short
// and recovers when none is; changed is true for the sample that turned it.
func (p *Pressure) Observe(free core.Capacity) (changed, critical bool) {
	low := min(free.CPU, free.Memory, free.Storage)
	was := p.isLow
	if was {
		p.isLow = low < p.recovered || low <= p.critical
	} else {
		p.isLow = low <= p.critical
	}
	return p.isLow != was, p.isLow
}
