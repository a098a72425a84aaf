// Package p2p is a node's place in the peer-to-peer network: the libp2p host,
// its transports and limits, how peers are found and kept out, and the channels
// that carry work between two nodes.
//
// It knows nothing of jobs, gossip or money: what it carries is []byte. It never
// decides whom to trust with work either; a peer it reports has proved its key
// and speaks this network's protocols, nothing more. Addresses, whether they come
// from the DHT, the local network or a file, are hints: only the handshake of a
// connection authenticates.
//
// What it guarantees:
//   - a connection's peer owns the Ed25519 key its NodeID spells out;
//   - networks do not mix: every protocol name carries the network, and a peer of
//     another network never counts as a peer;
//   - a Session loses no frame, repeats none and keeps their order while both
//     processes live and meet again within the resume window;
//   - whatever peers send, memory, streams, connections, sessions, bans and
//     tables stay within the bounds stated beside their constants.
//
// The composition root builds one Host per node with New, which listens but
// starts no loop, and supervises Serve.
package p2p
