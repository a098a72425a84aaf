// Package jobs says what a job is and how it ends: the states of a job, the
// board on which units of work meet the nodes that pull them, and the checks a
// result must pass.
//
// It is pure: no clock, randomness, I/O or goroutine. Callers pass `now` and a
// seed, call one method at a time (a Board has one owner) and carry out the
// effects it returns. Package jobs/dispatch is the adapter that does so over
// the network, jobs/journal the record that survives.
//
// It guarantees that every unit added to a Board ends exactly once: with a
// result the owner accepted or with a reason, unless the board is retired before,
// because somebody else leads; that a unit is leased to at most one node at a
// time, plus one speculative copy on another; and that nobody is offered more
// than they asked for.
package jobs
