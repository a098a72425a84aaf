// Package local is the local role: it pulls subtasks, runs them inside a
// reservation of this machine's resources, signs what it did and returns it.
//
// It is not the protocol (jobs/dispatch), the engine or the bookkeeping of
// resources (compute). Tasks is the documents' TaskManager, Aggregations their
// NodeAggregator; HardwareProfiler and ResourceManager are compute.Profile and
// compute.Capacity.
//
// It guarantees that nothing runs without a reservation, that every result is
// signed by this node over the exact input and output bytes, and that a reward
// counts once.
package local
