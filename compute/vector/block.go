package vector

import "math"

// blockSize is the grid that products of floats are computed on: the partial
// product of each block is rounded at every step, so where a block begins must
// not depend on the shards. It is also how often a run looks at its context.
const blockSize = 4096

// block is a product m * 2^exp with 0.5 <= |m| < 1, or m = 0. A product of
// float64 leaves their range long before its last factor brings it back; the
// exponent of its own keeps that from mattering.
type block struct {
	m   float64
	exp int
}

func multiplyBlock(xs []float64) block {
	p := block{0.5, 1}
	for _, x := range xs {
		p = p.times(fromProduct(x, 0))
	}
	return p
}

func fromProduct(x float64, exp int) block {
	m, e := math.Frexp(x)
	if m == 0 {
		return block{}
	}
	return block{m, e + exp}
}

func (b block) times(o block) block { return fromProduct(float64(b.m*o.m), b.exp+o.exp) }

// foldBlocks multiplies blocks in order and returns the product, infinite when
// it is beyond float64.
func foldBlocks(blocks []block) float64 {
	p := block{0.5, 1}
	for _, b := range blocks {
		p = p.times(b)
	}
	return math.Ldexp(p.m, max(-1<<20, min(1<<20, p.exp)))
}

// maxBlockExp bounds the exponent of a block: 4096 factors below 2^1025.
const maxBlockExp = blockSize * 1076

// exact returns the block as the form that crosses the network.
func (b block) exact() exact {
	e := fromFloat(b.m)
	if b.m != 0 {
		e.exp += b.exp
	}
	return e
}

// toBlock is the inverse of block.exact; false for what no block can be.
func toBlock(e exact) (block, bool) {
	if e.mant.Sign() == 0 {
		return block{}, true
	}
	if e.mant.BitLen() > 53 {
		return block{}, false
	}
	return fromProduct(float64(e.mant.Int64()), e.exp), true
}
