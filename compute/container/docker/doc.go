// Package docker is a client of the few endpoints of the Docker Engine API that
// running a container takes, over the engine's unix socket.
//
// It is not a policy: what a container may do stands in the Spec its caller makes, and
// which image is good is the caller's to know. Package compute/container is that
// caller. It never pulls, builds or deletes an image unless told to.
//
// It guarantees that an engine that lies, floods or hangs costs bounded memory and, for
// every call but Wait and the reading of a Stream, bounded time. Errors are of kind
// core.NotFound (no such image, container or volume), core.Conflict, core.Unavailable
// (the engine is not reached, or too slow), core.Corrupt (an answer that is none) and
// core.Invalid (the engine refused). Nodes and `tenzro doctor` use it. A Client is safe
// for concurrent use.
package docker
