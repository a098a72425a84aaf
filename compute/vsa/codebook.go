package vsa

import (
	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vsa/hyper"
)

const (
	// MaxCodebook is how many vectors a codebook has at most.
	MaxCodebook = 50_000_000
	// MaxTop is how many matches a search gives at most.
	MaxTop = 1000

	dotUnits    = 1   // of a word that is compared
	matchUnits  = 30  // of a vector besides
	symbolUnits = 400 // of a symbol's seed
)

// codebookData is a list of vectors to search, given by exactly one of names,
// symbols and seed.
type codebookData struct {
	Names   []string `json:"names,omitempty"`
	Symbols []string `json:"symbols,omitempty"`
	Seed    *string  `json:"seed,omitempty"`
	Count   int      `json:"count,omitempty"` // of a seed
	// From is the index of the first vector in the whole codebook, of which this
	// may be a part.
	From int `json:"from,omitempty"`
}

// codebook is one that was checked.
type codebook struct {
	data  codebookData
	slots []int // of names
	seed  uint64
}

func (c *codebook) len() int {
	return max(len(c.data.Names), len(c.data.Symbols), c.data.Count)
}

// label is what a match carries besides its index; empty for grown vectors.
func (c *codebook) label(i int) string {
	switch {
	case c.data.Names != nil:
		return c.data.Names[i]
	case c.data.Symbols != nil:
		return c.data.Symbols[i]
	}
	return ""
}

// codebook checks what a step searches.
func (p *program) codebook(path string, d *codebookData) (*codebook, error) {
	if d == nil {
		return nil, compute.Invalid(path, "is missing")
	}
	given := 0
	for _, there := range []bool{d.Names != nil, d.Symbols != nil, d.Seed != nil} {
		if there {
			given++
		}
	}
	c := &codebook{data: *d}
	switch {
	case given != 1:
		return nil, compute.Invalid(path, "must have exactly one of names, symbols and seed")
	case d.Seed == nil && d.Count != 0:
		return nil, compute.Invalid(path+".count", "goes with seed only")
	case d.From < 0 || d.From > MaxCodebook:
		return nil, compute.Invalid(path+".from", "is %d; it must be 0 to %d", d.From, MaxCodebook)
	case c.len() < 1 || c.len() > MaxCodebook:
		return nil, compute.Invalid(path, "has %d vectors; it must have 1 to %d", c.len(), MaxCodebook)
	}
	return c, p.members(path, c)
}

// members checks the vectors of a codebook.
func (p *program) members(path string, c *codebook) (err error) {
	if c.data.Seed != nil {
		c.seed, err = parseSeed(path+".seed", *c.data.Seed)
		return err
	}
	for i, text := range c.data.Symbols {
		if err := checkSymbol(indexed(path+".symbols", i), text); err != nil {
			return err
		}
	}
	c.slots = make([]int, len(c.data.Names))
	for i, name := range c.data.Names {
		if c.slots[i], err = p.operand(indexed(path+".names", i), name); err != nil {
			return err
		}
	}
	return nil
}

// units estimates a search.
func (c *codebook) units(s space) float64 {
	each := matchUnits + float64(dotUnits*s.words())
	switch {
	case c.data.Symbols != nil:
		each += symbolUnits + float64(growUnits*s.words())
	case c.data.Seed != nil:
		each += float64(growUnits * s.words())
	}
	return each * float64(c.len())
}

// vector returns member i; dst is used when it has to be made.
func (c *codebook) vector(r *runner, i int, dst *hyper.Vector) (*hyper.Vector, error) {
	switch {
	case c.data.Names != nil:
		return r.vector(c.slots[i])
	case c.data.Symbols != nil:
		return dst, dst.Random(r.p.kind, r.p.dim, hyper.SymbolSeed(c.data.Symbols[i]))
	}
	return dst, dst.Random(r.p.kind, r.p.dim, hyper.ItemSeed(c.seed, c.data.From+i))
}

// cut returns part lo to hi of a codebook.
func (d codebookData) cut(lo, hi int) codebookData {
	d.From += lo
	switch {
	case d.Names != nil:
		d.Names = d.Names[lo:hi]
	case d.Symbols != nil:
		d.Symbols = d.Symbols[lo:hi]
	default:
		d.Count = hi - lo
	}
	return d
}
