// Package global is the gateway: it takes tasks from users, chooses the region
// that will be their home, hands them over and answers for them.
//
// Any node can be one; a global node says so and keeps a view of all regions. A
// gateway remembers nothing that others need: the home region does, and any
// gateway routes a question about a task by the region in its id. Coordinator is
// the documents' GlobalTaskCoordinator, CrossRegion their
// CrossRegionTaskCoordinator, State their NetworkStateManager, Parameters their
// NetworkParameterManager.
//
// It guarantees that a submitter is told "accepted" only after the home region
// has recorded the job, and that a retry with the same idempotency key finds the
// same task as long as the gateway remembers it.
package global
