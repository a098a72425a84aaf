// Package core holds the nouns of the network: ids, roles, resources, tasks,
// results, proofs and the closed set of error kinds.
//
// It is not a home for behaviour: nothing here does I/O, reads a clock, starts
// a goroutine or imports anything but the standard library. A type enters only
// if two packages on floor 3 or above need it (docs/architecture.md).
//
// It guarantees that a value built by a Parse or New function, or that passed
// Validate, satisfies the bounds its comment states. Values read from JSON are
// hostile until Validate was called.
package core
