package keys

import (
	"crypto/ed25519"
	"crypto/sha256"
	"strings"

	"github.com/mr-tron/base58"

	"github.com/tenzro/tenzro/core"
)

const (
	// marshalPrefix opens the protobuf form of an Ed25519 public key in libp2p:
	// field 1 (key type) = 1, field 2 (data) = 32 bytes.
	marshalPrefix = "\x08\x01\x12\x20"
	// idPrefix opens the binary peer id: the identity multihash of the 36 bytes
	// that follow, which are the marshalled public key itself.
	idPrefix = "\x00\x24" + marshalPrefix
	// idTextLen is the length of every Ed25519 peer id in base58: the prefix
	// fixes the leading digits, so no key gives a shorter or longer text.
	idTextLen = 52
)

// LANIDSize is the length of the node id in the frames of local discovery.
const LANIDSize = 20

// NodeID returns the name of the node that holds the private half of pub: its
// libp2p peer id in base58.
func NodeID(pub ed25519.PublicKey) core.NodeID {
	return core.NodeID(base58.Encode(append([]byte(idPrefix), pub...)))
}

// PublicKey returns the key that id spells out. Only the canonical text of an
// Ed25519 peer id is accepted, so that one key has one name; anything else is
// core.Invalid.
func PublicKey(id core.NodeID) (ed25519.PublicKey, error) {
	if len(id) != idTextLen {
		return nil, core.Errorf(core.Invalid, "nodeId", "node id has %d characters, not %d", len(id), idTextLen)
	}
	raw, err := base58.Decode(string(id))
	if err != nil {
		return nil, core.Errorf(core.Invalid, "nodeId", "node id %q is not base58", string(id))
	}
	key, ok := strings.CutPrefix(string(raw), idPrefix)
	if !ok || len(key) != ed25519.PublicKeySize {
		return nil, core.Errorf(core.Invalid, "nodeId", "node id %q is not the peer id of an Ed25519 key", string(id))
	}
	pub := ed25519.PublicKey(key)
	if NodeID(pub) != id {
		return nil, core.Errorf(core.Invalid, "nodeId", "node id %q is not in its canonical form", string(id))
	}
	return pub, nil
}

// LANID returns the 20-byte form of id used by the frames of local discovery
// (document 4): the start of the SHA-256 of the marshalled public key. It is a
// hint to recognise a node by, never proof of who sent something.
func LANID(id core.NodeID) ([LANIDSize]byte, error) {
	pub, err := PublicKey(id)
	if err != nil {
		return [LANIDSize]byte{}, err
	}
	sum := sha256.Sum256(append([]byte(marshalPrefix), pub...))
	return [LANIDSize]byte(sum[:LANIDSize]), nil
}
