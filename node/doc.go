// Package node is the composition root: it builds a node from the bottom floor
// up, owns the supervision tree and the catalog of roles, and answers what the
// API asks about the node itself.
//
// It holds no mechanism of its own: every line here connects two rooms. Each
// stage of the build has its file (identity, network, work, serve); nothing is
// started before Run.
//
// It guarantees that a home directory is used by one node at a time, that a
// failed New leaves nothing open, that runtime.json exists exactly while the
// node serves, and that Run, when its context ends, lets running work finish for
// a while before it stops.
package node
