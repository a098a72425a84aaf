package jobs

import (
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
)

const (
	// paceWindow is how many of the last runtimes of a class of work count.
	paceWindow = 64
	// paceStep is after how many new ones the percentile is computed again.
	paceStep = 8
	// maxPaces bounds the classes of work that are remembered.
	maxPaces = 256
)

// paceKey is a class of work: what takes about the same time per weight.
type paceKey struct {
	task    core.TaskType
	require core.Requirements
}

// paces is the runtimes of the classes of work seen last.
type paces struct {
	known map[paceKey]*pace
	order []paceKey // as they were first seen
}

// of returns the pace of a unit's class, a new one for a new class.
func (p *paces) of(u *Unit) *pace {
	key := paceKey{u.Head.Type, u.Head.Requirements}
	if found := p.known[key]; found != nil {
		return found
	}
	if p.known == nil {
		p.known = map[paceKey]*pace{}
	}
	if len(p.order) >= maxPaces {
		delete(p.known, p.order[0])
		p.order = p.order[1:]
	}
	fresh := &pace{}
	p.known[key], p.order = fresh, append(p.order, key)
	return fresh
}

// pace estimates how long the units of one class take: the 95th percentile of
// the last runtimes, each divided by the unit's weight.
type pace struct {
	last [paceWindow]float64 // seconds per unit of weight, a ring
	seen int                 // ever
	p95  float64
	from int // seen when p95 was computed
}

// add notes the runtime of a unit whose result was accepted.
func (p *pace) add(took time.Duration, weight int64) {
	p.last[p.seen%paceWindow] = took.Seconds() / float64(max(weight, 1))
	p.seen++
}

// limit returns after how long a unit of some weight is slow, 0 for never: with
// fewer than need runtimes nobody knows.
func (p *pace) limit(weight int64, need int, floor time.Duration) time.Duration {
	if p.seen < need {
		return 0
	}
	if p.from == 0 || p.seen >= p.from+paceStep {
		n := min(p.seen, paceWindow)
		sorted := p.last
		slices.Sort(sorted[:n])
		p.p95, p.from = sorted[(n*95-1)/100], p.seen
	}
	seconds := min(p.p95*float64(max(weight, 1)), core.MaxTimeout.Seconds())
	return max(floor, time.Duration(seconds*float64(time.Second)))
}
