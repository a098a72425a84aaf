package vsa

import (
	"encoding/json"

	"github.com/tenzro/tenzro/compute/vsa/hyper"
)

// merge puts the matches of the parts together. What the parts computed besides
// has to be the same in all.
func (p *program) merge(partials []json.RawMessage) (json.RawMessage, error) {
	slot := len(p.given) + p.cut
	top := hyper.NewTop(p.steps[p.cut].top)
	var first []value
	for i, raw := range partials {
		name := indexed("shard", i)
		lo := p.bound(i, len(partials))
		values, err := p.part(lo, p.bound(i+1, len(partials))).read(name, raw)
		if err != nil {
			return nil, err
		}
		for _, m := range values[slot].matches {
			top.Add(hyper.Match{Index: lo + m.Index, Dot: m.Dot})
		}
		if first == nil {
			first = values
		}
		if !p.agree(slot, first, values) {
			return nil, corrupt(name, "says something else than shard[0] of what both computed")
		}
	}
	first[slot].matches = top.Best()
	return p.encode(first)
}

// part is the program of which a shard is the data, but for vectors it leaves out.
func (p *program) part(lo, hi int) *program {
	own, at := *p, p.cut
	own.steps = append([]step(nil), p.steps...)
	book := *own.steps[at].book
	book.data = book.data.cut(lo, hi)
	own.steps[at].book = &book
	return &own
}

// agree compares all results but the one in slot.
func (p *program) agree(slot int, a, b []value) bool {
	for _, s := range p.results {
		switch {
		case s == slot:
		case p.gives(s) == aVector:
			if !a[s].vector.Equal(b[s].vector) {
				return false
			}
		case a[s].dot != b[s].dot:
			return false
		}
	}
	return true
}
