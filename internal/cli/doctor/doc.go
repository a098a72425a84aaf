// Package doctor finds out what keeps a node from working: each check gives one
// or more lines, OK, WARN or FAIL, and everything but OK names the one fix.
//
// It repairs nothing, and it trusts nothing it can try itself: ports are bound,
// files are written, addresses are dialled. It guarantees that a run ends: every
// check has a deadline, and what is asked of others is bounded. What only a
// running node can know is asked over HTTP; without one those lines are WARN.
// The command `tenzro doctor` runs it.
package doctor
