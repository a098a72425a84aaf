// Package gossip tells many nodes small things: typed topics per subject and
// region over GossipSub, with every message checked before it is passed on.
// docs/spec/gossip.md is the same contract for other implementations.
//
// It announces, it never assigns: work, results and heartbeats travel on the
// streams between two nodes. It keeps no history, promises no delivery and no
// order, and whoever listens too slowly loses messages, counted.
//
// It guarantees that what a subscriber receives was signed by the node it names,
// for this network, within the last two minutes, is valid for its type, was not
// delivered before, and belongs to the topic's types; that an author cannot make
// this node spend more than its rate on him; and that passing on what is forged
// or malformed costs the neighbour who did it, until he is not listened to any
// more. All memory is bounded.
//
// The composition root runs one Router per node; roles join topics through it.
package gossip
