package hyper

import "slices"

// Match is one vector of a codebook and how similar it is.
type Match struct {
	Index int // in the codebook
	Dot   int
}

// Better orders matches: greater Dot first, then lower Index.
func (m Match) Better(o Match) bool { return m.Dot > o.Dot || m.Dot == o.Dot && m.Index < o.Index }

// Top keeps the best matches seen, at most as many as it was made for. What it
// keeps does not depend on the order in which they came.
type Top struct {
	most int
	best []Match // best first
}

// NewTop returns a collector of most matches, at least one.
func NewTop(most int) *Top { return &Top{most: max(1, most)} }

// Add takes a match into account.
func (t *Top) Add(m Match) {
	if len(t.best) == t.most {
		if !m.Better(t.best[t.most-1]) {
			return
		}
		t.best = t.best[:t.most-1]
	}
	at, _ := slices.BinarySearchFunc(t.best, m, func(have, m Match) int {
		if have.Better(m) {
			return -1
		}
		return 1
	})
	t.best = slices.Insert(t.best, at, m)
}

// Best returns the matches, best first.
func (t *Top) Best() []Match { return t.best }
