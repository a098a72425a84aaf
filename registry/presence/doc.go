// Package presence keeps the registry true: it tells others what this node is
// and learns what they are. It joins package registry, which is pure, to gossip,
// the DHT and the clock.
//
// A Publisher runs on every node: it signs the node's ad and tells its health. A
// Beacon runs while the node coordinates a region: the DHT then leads to it and
// its summaries reach the other regions. A Watcher runs while the node takes
// tasks: it fills the tables from what others tell. A Finder answers who
// coordinates a region. The composition root runs the first and last, the roles
// the others.
//
// It is not on the path of work: workers attach to coordinators by package
// jobs/dispatch, and their heartbeats ride those streams, not gossip.
//
// It guarantees that an ad's sequence rises, across restarts too as long as the
// clock does, that an ad is renewed before half its life is gone and as soon as
// it is no longer true, and that what others say enters a table only from its
// authenticated author. What the DHT says is a hint: whoever a Finder names has
// answered a ping and proved his key, nothing more.
package presence
