package vsa

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"

	"github.com/tenzro/tenzro/compute/vsa/hyper"
	"github.com/tenzro/tenzro/wire"
)

// match is one vector of a codebook in a result.
type match struct {
	Index      int     `json:"index"`
	Name       string  `json:"name,omitempty"`
	Similarity float64 `json:"similarity"`
}

// similarity is a dot product as a share of the dimension: one division, which
// IEEE 754 defines to the bit.
func (s space) similarity(dot int) float64 { return float64(dot) / float64(s.dim) }

// dot is the inverse of similarity, for what no pair of vectors has too.
func (s space) dot(similarity float64) int { return int(math.Round(similarity * float64(s.dim))) }

// possible reports whether two vectors can have a dot product.
func (s space) possible(dot int) bool {
	return dot >= -s.dim && dot <= s.dim && (s.kind == hyper.Ternary || (s.dim-dot)%2 == 0)
}

// encode writes the result: an object with what was asked for, in that order.
func (p *program) encode(values []value) (json.RawMessage, error) {
	out := []byte{'{'}
	for i, slot := range p.results {
		if i > 0 {
			out = append(out, ',')
		}
		text, err := json.Marshal(p.show(slot, &values[slot]))
		if err != nil {
			return nil, err
		}
		out = append(append(strconv.AppendQuote(out, p.data.Result[i]), ':'), text...)
	}
	return append(out, '}'), nil
}

// show returns a value in its JSON form.
func (p *program) show(slot int, v *value) any {
	switch p.gives(slot) {
	case aNumber:
		return p.similarity(v.dot)
	case someMatches:
		book := p.steps[slot-len(p.given)].book
		list := make([]match, len(v.matches))
		for i, m := range v.matches {
			list[i] = match{Index: book.data.From + m.Index, Name: book.label(m.Index), Similarity: p.similarity(m.Dot)}
		}
		return list
	}
	return p.data.Encoding.show(v.vector)
}

// read is the inverse of encode. What could not be the result of the program, or
// is not written the way encode writes it, is core.Corrupt.
func (p *program) read(name string, text json.RawMessage) ([]value, error) {
	var fields map[string]json.RawMessage
	if err := wire.DecodeStrict(text, &fields); err != nil || fields == nil {
		return nil, corrupt(name, "is not an object of the results")
	}
	values := make([]value, len(p.slots))
	for i, slot := range p.results {
		own := name + "." + p.data.Result[i]
		raw, there := fields[p.data.Result[i]]
		if !there {
			return nil, corrupt(own, "is missing")
		}
		if err := p.readValue(own, slot, raw, &values[slot]); err != nil {
			return nil, err
		}
	}
	again, err := p.encode(values)
	if err != nil || !bytes.Equal(again, text) {
		return nil, corrupt(name, "is not written in the canonical form")
	}
	return values, nil
}

func (p *program) readValue(name string, slot int, raw json.RawMessage, v *value) (err error) {
	switch p.gives(slot) {
	case aNumber:
		var x float64
		if err := wire.DecodeStrict(raw, &x); err != nil {
			return corrupt(name, "is not a number")
		}
		if v.dot = p.dot(x); !p.possible(v.dot) {
			return corrupt(name, "is %v, which no two such vectors have", x)
		}
		return nil
	case someMatches:
		v.matches, err = p.readMatches(name, &p.steps[slot-len(p.given)], raw)
		return err
	}
	var out shown
	if err := wire.DecodeStrictClosed(raw, &out); err != nil {
		return corrupt(name, "is not a vector")
	}
	v.vector, err = p.space.read(name, out)
	return err
}

// readMatches reads what a search gives: as many as there must be, each once, best
// first.
func (p *program) readMatches(name string, st *step, raw json.RawMessage) ([]hyper.Match, error) {
	var list []match
	if err := wire.DecodeStrictClosed(raw, &list); err != nil {
		return nil, corrupt(name, "is not a list of matches")
	}
	if want := min(st.top, st.book.len()); len(list) != want {
		return nil, corrupt(name, "has %d matches, not %d", len(list), want)
	}
	seen := make(map[int]bool, len(list))
	matches := make([]hyper.Match, len(list))
	for i, m := range list {
		at := hyper.Match{Index: m.Index - st.book.data.From, Dot: p.dot(m.Similarity)}
		switch {
		case at.Index < 0 || at.Index >= st.book.len() || seen[at.Index]:
			return nil, corrupt(name, "has a match with vector %d, which is there already or not of this codebook", m.Index)
		case !p.possible(at.Dot):
			return nil, corrupt(name, "has a similarity of %v, which no two such vectors have", m.Similarity)
		case i > 0 && !matches[i-1].Better(at):
			return nil, corrupt(name, "is not in order at match %d", i)
		}
		seen[at.Index] = true
		matches[i] = at
	}
	return matches, nil
}
