package keys

import (
	"crypto/sha256"
	"math/bits"

	"github.com/tenzro/tenzro/core"
)

// The tree over proofs that are signed together is that of RFC 9162, section 2.1: the
// hash of a leaf has a byte 0 before what it covers, that of an inner node a byte 1
// before those of its two halves, of which the left one has the largest power of two
// that is less than the whole. A leaf covers a nonce and its proof: without the nonce,
// who holds one proof could find out by trying what its neighbours say.
//
// An inclusion is the leaf's number, how many leaves there are, the nonce, and the
// path: the hash of the other half at each level, the lowest first.
const (
	nonceSize  = 16
	beforePath = 2 + nonceSize
	// maxLeaves is how many proofs may share a signature.
	maxLeaves = 1 << ((core.MaxInclusion - beforePath) / sha256.Size)
)

// leafOf returns the hash of p's leaf.
func leafOf(nonce []byte, p *core.Proof) core.Digest {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(nonce)
	h.Write(message(DomainProof, p.SigningParts()))
	return core.Digest(h.Sum(nil))
}

// over returns the hash of the inner node over two others.
func over(left, right core.Digest) core.Digest {
	b := make([]byte, 0, 1+2*sha256.Size)
	return core.Sum(append(append(append(b, 1), left[:]...), right[:]...))
}

// half is how many of n leaves, 2 or more, are left of the root.
func half(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

// rootOf returns the hash over leaves, 1 or more.
func rootOf(leaves []core.Digest) core.Digest {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := half(len(leaves))
	return over(rootOf(leaves[:k]), rootOf(leaves[k:]))
}

// appendPath appends the path of leaf i.
func appendPath(dst []byte, i int, leaves []core.Digest) []byte {
	if len(leaves) == 1 {
		return dst
	}
	k := half(len(leaves))
	mine, other := leaves[:k], leaves[k:]
	if i >= k {
		i, mine, other = i-k, other, mine
	}
	top := rootOf(other)
	return append(appendPath(dst, i, mine), top[:]...)
}

// climb returns the root over n leaves that leaf i and its path lead to, false for a
// path that is not as long as that takes.
func climb(leaf core.Digest, i, n int, path []byte) (core.Digest, bool) {
	end := len(path) - sha256.Size
	if n == 1 || end < 0 {
		return leaf, n == 1 && len(path) == 0
	}
	other, k := core.Digest(path[end:]), half(n)
	if i < k {
		mine, ok := climb(leaf, i, k, path[:end])
		return over(mine, other), ok
	}
	mine, ok := climb(leaf, i-k, n-k, path[:end])
	return over(other, mine), ok
}

// appendInclusion appends the inclusion of leaf i.
func appendInclusion(dst []byte, i int, nonce []byte, leaves []core.Digest) []byte {
	return appendPath(append(append(dst, byte(i), byte(len(leaves))), nonce...), i, leaves)
}

// climbed returns the root that the inclusion of p leads to and how many leaves are
// under it, 0 when it leads to none.
func climbed(p *core.Proof) (root core.Digest, leaves int) {
	in := p.Inclusion
	if len(in) < beforePath {
		return root, 0
	}
	i, n := int(in[0]), int(in[1])
	if n < 2 || n > maxLeaves || i >= n {
		return root, 0
	}
	root, ok := climb(leafOf(in[2:beforePath], p), i, n, in[beforePath:])
	if !ok {
		return root, 0
	}
	return root, n
}

// headOf returns what is signed for a tree. The number of leaves is in it because a
// path may fit trees of several sizes.
func headOf(root core.Digest, leaves int) [][]byte { return [][]byte{{byte(leaves)}, root[:]} }
