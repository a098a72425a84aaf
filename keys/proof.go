package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"runtime"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tenzro/tenzro/core"
)

// SignProof makes s the node of p and signs it alone.
func SignProof(s Signer, p *core.Proof) {
	p.NodeID, p.Inclusion = s.ID(), nil
	p.Signature = s.Sign(DomainProof, p.SigningParts()...)
}

// ProofSigner signs the proofs of one node. Those that are ready at the same time
// share a signature, which is most of what a tiny task costs its worker: it covers the
// root of a tree whose leaves they are, and the inclusion of each leads from it to the
// root, so that each stands by itself. It is safe for concurrent use.
type ProofSigner struct {
	signer Signer

	mu    sync.Mutex
	open  *company  // that others may join
	alone time.Time // until when a proof that comes first is signed alone
}

// company is proofs that are signed together, by whoever came first.
type company struct {
	proofs []*core.Proof
	signed chan struct{}
}

// Where others keep the processors busy for long, letting them run first costs more
// than a signature: when it took longPause and was in vain, nobody is let run first for
// vain times as long.
const (
	longPause = 3 * time.Millisecond
	vain      = 10
)

// NewProofSigner returns one that signs in the name of s.
func NewProofSigner(s Signer) *ProofSigner { return &ProofSigner{signer: s} }

// Sign makes the signer's node that of p and signs it. When others may be about to
// have proofs too, who comes first lets the goroutines run that are ready to, once, and
// signs for all that got here meanwhile; they have the bytes of the signature in common.
func (s *ProofSigner) Sign(p *core.Proof, others bool) {
	p.NodeID = s.signer.ID()
	c, first := s.join(p)
	if !first {
		<-c.signed
		return
	}
	if others {
		s.gather(c)
	}
	s.shut(c)
	if len(c.proofs) == 1 {
		SignProof(s.signer, p)
	} else {
		nonces := make([]byte, nonceSize*len(c.proofs))
		_, _ = rand.Read(nonces) // cannot fail
		signTogether(s.signer, c.proofs, nonces)
	}
	close(c.signed)
}

// join returns the company that signs p, and whether p is its first.
func (s *ProofSigner) join(p *core.Proof) (c *company, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first = s.open == nil || len(s.open.proofs) == maxLeaves; first {
		s.open = &company{signed: make(chan struct{})}
	}
	s.open.proofs = append(s.open.proofs, p)
	return s.open, first
}

// gather lets others join c, unless that was in vain a moment ago.
func (s *ProofSigner) gather(c *company) {
	begun := time.Now()
	s.mu.Lock()
	alone := begun.Before(s.alone)
	s.mu.Unlock()
	if alone {
		return
	}
	runtime.Gosched()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alone = aloneUntil(begun, time.Since(begun), len(c.proofs))
}

// aloneUntil is until when nobody is let run first, after that took so long and gave a
// company of so many.
func aloneUntil(begun time.Time, took time.Duration, proofs int) time.Time {
	if proofs > 1 || took < longPause {
		return time.Time{}
	}
	return begun.Add((1 + vain) * took)
}

// shut lets nobody join c any more.
func (s *ProofSigner) shut(c *company) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == c {
		s.open = nil
	}
}

// signTogether signs several proofs, whose node is s, by the root of their tree.
func signTogether(s Signer, proofs []*core.Proof, nonces []byte) {
	nonce := func(i int) []byte { return nonces[i*nonceSize:][:nonceSize] }
	leaves := make([]core.Digest, len(proofs))
	for i, p := range proofs {
		leaves[i] = leafOf(nonce(i), p)
	}
	signature := s.Sign(DomainProofs, headOf(rootOf(leaves), len(leaves))...)
	for i, p := range proofs {
		p.Signature, p.Inclusion = signature, appendInclusion(nil, i, nonce(i), leaves)
	}
}

// ProofVerifier verifies proofs. It remembers the latest signatures that cover several,
// so that each is checked once, however many of its proofs come. It is safe for
// concurrent use.
type ProofVerifier struct {
	known *lru.Cache[joint, func() error]
}

// joint is a signature that covers several proofs.
type joint struct {
	node      core.NodeID
	root      core.Digest
	leaves    int
	signature [ed25519.SignatureSize]byte
}

// maxKnown is how many verdicts are remembered, good and bad.
const maxKnown = 1024

// NewProofVerifier returns one that has seen nothing.
func NewProofVerifier() *ProofVerifier {
	known, _ := lru.New[joint, func() error](maxKnown) // fails for no size but those below 1
	return &ProofVerifier{known}
}

// Verify checks the bounds of p (core.Invalid) and that its node signed it, alone or
// with others (core.Denied).
func (v *ProofVerifier) Verify(p core.Proof) error {
	if err := p.Validate(); err != nil {
		return err
	}
	if len(p.Inclusion) == 0 {
		return Verify(p.NodeID, DomainProof, p.Signature, p.SigningParts()...)
	}
	root, leaves := climbed(&p)
	if leaves == 0 {
		return core.Errorf(core.Denied, "signature", "the proof's inclusion, %d bytes, leads to no root", len(p.Inclusion))
	}
	verdict := sync.OnceValue(func() error { return Verify(p.NodeID, DomainProofs, p.Signature, headOf(root, leaves)...) })
	on := joint{p.NodeID, root, leaves, [ed25519.SignatureSize]byte(p.Signature)}
	if earlier, known, _ := v.known.PeekOrAdd(on, verdict); known {
		verdict = earlier // or somebody's who is about to have it
	}
	return verdict()
}
