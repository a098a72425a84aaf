package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"

	"github.com/tenzro/tenzro/core"
)

// Identity is a node's Ed25519 key pair and the name it gives. It is immutable
// and safe for concurrent use. Printing one shows the name, never the key.
type Identity struct {
	id      core.NodeID
	private ed25519.PrivateKey
}

var (
	_ Signer         = (*Identity)(nil)
	_ fmt.Stringer   = (*Identity)(nil)
	_ fmt.GoStringer = (*Identity)(nil)
)

// Generate makes a new identity from the system's randomness.
func Generate() (*Identity, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, core.Errorf(core.Internal, "generate identity", "generating an identity: %w", err)
	}
	return newIdentity(private), nil
}

// FromSeed returns the identity that seed determines: for tests and simulations
// that must repeat, never for a node that others trust.
func FromSeed(seed [32]byte) *Identity {
	return newIdentity(ed25519.NewKeyFromSeed(seed[:]))
}

func newIdentity(private ed25519.PrivateKey) *Identity {
	pub := ed25519.PublicKey(private[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
	return &Identity{id: NodeID(pub), private: private}
}

// ID returns the node's name.
func (i *Identity) ID() core.NodeID { return i.id }

// Sign implements Signer.
func (i *Identity) Sign(d Domain, parts ...[]byte) []byte {
	return ed25519.Sign(i.private, message(d, parts))
}

// PrivateKey returns a copy of the key, for the one place that must own it: the
// transport that proves this identity to peers.
func (i *Identity) PrivateKey() ed25519.PrivateKey {
	return append(ed25519.PrivateKey(nil), i.private...)
}

// String returns the node's name, so that no format verb prints the key.
func (i *Identity) String() string { return string(i.id) }

// GoString does the same for %#v.
func (i *Identity) GoString() string { return "keys.Identity(" + string(i.id) + ")" }
