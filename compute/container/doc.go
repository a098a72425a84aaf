// Package container runs the task type "container": a program in an image that the
// operator of a node allows, by a Docker Engine beside the node, with a bound on
// everything it can use up and nothing that leads out.
//
// Task is what a submitter writes, Result what comes back, Planner what a gateway and a
// region check. Images is the operator's list. Executor runs a task on a worker: it is
// off unless its node says so, and runs tasks only while its Serve finds an engine that
// keeps every limit and has an allowed image. spec in settings.go is the whole of what a
// container is given.
//
// It is no wall against a hole in the kernel: docs/containers.md says what it does not
// protect against. It does not choose images: their content is the operator's to trust.
//
// It guarantees that an image is run by its content, never by a name; that whatever
// happens, the context, the engine or the node ending included, a container is killed
// and removed, at the latest when the node runs again; and that the result has the form
// that Planner.Validate accepts. Unlike that of package compute/wasm it is no function of
// the task alone: a container has a clock and randomness. Nodes run it; package
// internal/cli for `tenzro container`.
package container
