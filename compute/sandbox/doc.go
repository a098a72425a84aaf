// Package sandbox runs the work of strangers in child processes of this same
// program, under limits, and ends them at once when a limit is reached.
//
// A Handler, which is code of ours, runs a guest, which is code of a stranger, in
// a child. The Pool keeps some children ready, hands each one job at a time over
// a pipe, watches it from outside, and kills its process group when the job takes
// more than its Limits say. A child that did its job well may do another;
// anything else ends it. The program becomes a child by calling Main first.
//
// It is not an engine: what a guest is and how it is held inside its child is
// the business of the Handler. It knows nothing of nodes, tasks or money.
//
// It guarantees that whatever a guest does is a Result with a Reason and never an
// error, a hang, a zombie or a loss of memory in the parent. What a child says is
// bounded and never believed further than its own job. Which walls stand between
// a child and the machine depends on the system: Active tells, and
// docs/sandbox.md says what each is good for. A role or a command serves the
// pool; engines of compute call Run.
//
// # In a child
//
// A handler finds a bare process: two processors (GOMAXPROCS), no environment, no
// files but what Granted names, no network, 64 descriptors, UTC. It may keep
// state from job to job, such as a compiled module, and must not count on it. A
// standard error of 64 KiB is read only when the child is dead: it is for last
// words. Memory that it still holds after a job may end its child (Config.Keep).
//
// # How a child is confined
//
// Serve makes a thread that has no capabilities, sees an empty network and no
// files, and can never get any of it back; every child is started by that thread
// and inherits all of it. What would keep the thread itself from starting
// programs, the filter of system calls above all, the child puts up before it
// says that it is ready. From then on it is taken for hostile.
package sandbox
