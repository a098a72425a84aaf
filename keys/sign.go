package keys

import (
	"crypto/ed25519"
	"encoding/binary"

	"github.com/tenzro/tenzro/core"
)

// Domain names the purpose a signature is valid for. The version in it changes
// with the meaning of the parts, which makes older signatures worthless.
type Domain string

// The domains in use.
const (
	DomainEnvelope Domain = "tenzro/envelope/1" // messages of package wire
	DomainProof    Domain = "tenzro/proof/1"    // core.Proof: who computed what
	DomainProofs   Domain = "tenzro/proofs/1"   // the root of several proofs
	DomainAd       Domain = "tenzro/ad/1"       // what a node offers and until when
)

// Signer signs in the name of one node.
type Signer interface {
	// ID is the node the signatures are checked against.
	ID() core.NodeID
	// Sign returns the 64-byte signature over d and parts. It keeps none of them.
	Sign(d Domain, parts ...[]byte) []byte
}

// Verify checks that sig is id's signature over d and parts. Every failure is
// core.Denied: a caller has no reason to treat a bad id, a bad length and a bad
// signature differently.
func Verify(id core.NodeID, d Domain, sig []byte, parts ...[]byte) error {
	pub, err := PublicKey(id)
	if err != nil {
		return core.Errorf(core.Denied, "signature", "checking a signature: %w", err)
	}
	if len(sig) != ed25519.SignatureSize || !ed25519.Verify(pub, message(d, parts), sig) {
		return core.Errorf(core.Denied, "signature", "signature is not %s's over this %s message", id, d)
	}
	return nil
}

// message is what is signed: the domain, then every part, each after its length
// in eight bytes, big-endian.
func message(d Domain, parts [][]byte) []byte {
	size := 8 + len(d)
	for _, p := range parts {
		size += 8 + len(p)
	}
	out := make([]byte, 0, size)
	out = binary.BigEndian.AppendUint64(out, uint64(len(d)))
	out = append(out, d...)
	for _, p := range parts {
		out = binary.BigEndian.AppendUint64(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}
