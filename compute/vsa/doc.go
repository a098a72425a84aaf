// Package vsa is the engine of two task types over hypervectors (package hyper):
// "vsa", a small program of operations over given, random and named vectors with
// searches of codebooks, and "vsa_evolution", which evolves a vector towards
// exemplars. docs/vsa.md is for those who write such tasks, docs/spec/vsa.md for
// those who compute the same bits with another program.
//
// It is not a programming language: a program has no loops, and each of its steps
// is named once. It guarantees: the result has the same bytes on every processor
// and whatever the number of subtasks; what a task may cost is known and bounded
// before it runs; hostile data cost at most a scan, and hostile results a scan and
// what Check estimated as compute.Cost.Judge. For a result of a small program is
// computed again by whoever checks it, and so is the fitness of an evolved vector,
// always: it is the metric of the worker's proof. The engine of
// package compute runs it on local nodes, package jobs plans with it on the others.
package vsa
