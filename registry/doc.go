// Package registry holds who is there: the signed capability ads of nodes with
// their last free figures, the reputation of nodes, and the summaries of other
// regions, and it selects nodes and regions by what a task requires.
//
// It is pure bookkeeping: no clock, randomness, I/O or goroutine. `now` and
// seeds are parameters, so the same calls give the same answers. It does not
// fetch ads, send heartbeats or decide who runs what; package presence feeds it
// and package jobs/dispatch asks it.
//
// It guarantees that every stored ad carries a valid signature of the node it
// describes, that a node's sequence never goes back while its ad is remembered,
// that a reputation is always within 0..100 and moves only on evidence, and that
// every table has a bound. A coordinator keeps a Table of its workers; gateways
// keep Regions; both keep a Reputation. All are safe for concurrent use.
package registry
