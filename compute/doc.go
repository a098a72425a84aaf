// Package compute runs one task at a time inside a share of this machine, and
// knows how big the machine is.
//
// Executor is what an engine implements, Engine picks the executor of a task's
// type, Capacity hands out shares of the machine and never more than there is,
// Profile says what the machine is and which tier and roles that makes, Sampler
// says what is free right now and Pressure turns samples into the two events
// resource_critical and resource_recovered. Planner is what an engine adds when
// its tasks can be split over several machines.
//
// It is not a scheduler: nothing here knows of other nodes, queues or money,
// and no goroutine is started. It guarantees that a task runs only inside a live
// Reservation, that a panic in an executor becomes a failed task and not a dead
// node, and that the sum of all reservations never exceeds the machine. The
// roles of package roles/local run it; package jobs calls the planners.
package compute
