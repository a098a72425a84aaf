// Package dockertest is a Docker Engine that runs functions instead of containers, on a
// unix socket, for the tests of whoever uses package docker.
//
// It is a contract: it refuses every container that lacks one of the protections that
// docs/containers.md promises, and says which. It is not an engine: nothing is isolated,
// and it knows only the requests that package docker makes.
//
// It guarantees that all its goroutines have ended when the test has. What an engine may
// do wrong a test puts in front of it with Intercept.
package dockertest
