//go:build !linux || portable

package sandbox

import "time"

// gauge keeps the account of a child that measures itself.
type gauge struct {
	cpu   time.Duration // CPU time of the jobs before this one
	claim usage         // what the child said of the last job
	given bool
}

func newGauge(int, *group) *gauge { return &gauge{} }

// Close has nothing to close.
func (*gauge) Close() error { return nil }

func (*gauge) ready() {}

func (g *gauge) begin(Limits) {
	g.cpu += g.claim.CPU
	g.claim, g.given = usage{}, false
}

// told takes what the child says. Of a dead one the system knows the CPU time.
func (g *gauge) told(u usage, lives bool) { g.claim, g.given = u, lives }

func (*gauge) check(Limits) ending { return ending{} }

func (*gauge) look() {}

func (g *gauge) peak() int64 { return g.claim.Peak }

// used returns the CPU time of the child so far, and false when that is only
// known of the dead: its whole life's, without what its start took.
func (g *gauge) used() (time.Duration, bool) { return g.cpu + g.claim.CPU, g.given }

// held is not known: the child gives back what it can.
func (g *gauge) held() int64 { return 0 }
