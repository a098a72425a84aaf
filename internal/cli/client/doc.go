// Package client talks to a running node over its HTTP API, on behalf of the
// commands of internal/cli.
//
// It is not an SDK: it knows paths and bodies of /api/v1 as far as the commands
// need them. It guarantees that every call has a deadline, that answers are read
// only up to a limit, that the token goes to the named node and nowhere else
// (redirects are refused), and that every error is a *core.Error whose kind and
// hint come from the node's own answer where it gave one. It starts no goroutine
// of its own.
package client
