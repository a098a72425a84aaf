// Package hyper is the arithmetic of hypervectors: binary ones, whose elements
// are 0 and 1, and ternary ones, whose elements are -1, 0 and +1, of any
// dimension up to MaxDimension, packed into words, one bit per element and plane.
//
// Bind, Bundle, Permute, Negate and Dot are the operations; Random and its kin
// make vectors from seeds by a generator that docs/spec/vsa.md defines to the
// bit; Top collects the best matches of a codebook; Bytes and Parse are the form
// in which a vector travels.
//
// It is not an engine: it knows no JSON, no tasks and no cost, starts no
// goroutine and uses no floating point. It guarantees the same bits on every
// processor, and vectors of different kinds or dimensions are refused, never
// mixed. The functions allocate only when the vector they write to is too small;
// it may be one of the operands. Packages compute/vsa and compute/workload run it.
package hyper
