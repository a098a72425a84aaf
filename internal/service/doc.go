// Package service runs the long-lived loops of a node under supervision.
//
// A loop is a Service: Serve(ctx) works until ctx ends. What happens when it
// ends earlier is in the error it returns, decided where the failure is
// understood and nowhere else:
//
//   - any error, nil and a panic included: it failed; run it again after a
//     back-off of its own, which no other service has to wait for
//   - Done, or an error wrapping it: it has finished for good
//   - Fatal: nothing useful can go on; stop the whole tree and exit with a code
//
// It is not for short work: a function that needs goroutines for its own
// duration uses an errgroup. A Tree guarantees that a service never runs twice
// at once, that a panic in one loop stops no other, that Remove returns only
// when the service has ended or says that it did not, and that Serve returns
// after every service was told to stop. The composition root owns the root tree;
// a role is a Sub tree that is added and removed while the node runs.
package service
