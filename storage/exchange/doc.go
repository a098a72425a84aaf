// Package exchange is a store of objects that also has those of other nodes: what is
// not here is asked of the nodes that may have it, fetched, checked and kept as a
// copy.
//
// One request is one stream: the 32 bytes of an id; the answer is the byte 1, the
// size as 8 bytes in big endian and the object, or nothing (docs/spec/objects.md).
// Only what is on this node is answered, so a question never goes further than one
// hop. Whom to ask is told by Network: the nodes that are connected, and those that
// the DHT names for the object, where every node announces what was put at it last.
//
// It guarantees that no byte of another node is handed out before the digest of all
// of them was compared, that a fetch ends in time, and that a few at once are all
// there are. It does not spread objects: one that nobody fetched lives where it was
// put. Serve announces; ServeStream answers others.
package exchange
