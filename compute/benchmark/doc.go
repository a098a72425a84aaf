// Package benchmark is the engine of the task type "benchmark": any node can be
// asked to do a fixed piece of work of package workload, and says how fast it was.
// docs/benchmark.md is for those who ask.
//
// It is not the judge of a machine: tier and placement come from the machine's own
// profile, which package compute measures with the same pieces of work. It
// guarantees that the work was done, as far as one look can tell: a result commits
// to a digest of every segment, and whoever checks it computes one of them again,
// which one depends on a secret of his own; that the score follows from work and
// elapsed time; and that no score beyond any machine of our time is taken. A worker
// that claims to have been faster than it was, within that bound, is believed. The
// engine of package compute runs it on local nodes, package jobs plans with it on
// the others.
package benchmark
