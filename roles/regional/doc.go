// Package regional is the regional role: it takes jobs for one region, splits
// them, leases the subtasks to the local nodes that pull, validates what comes
// back, merges it and remembers how it ended.
//
// It is not the protocol (jobs/dispatch) nor the record (jobs/journal), and it
// does not choose regions (roles/global does). Validator is the documents'
// ValidatorSystem, Metrics their MetricsCollector; their SignalingServer is the
// WebSocket of package api.
//
// It guarantees that a job is accepted only after it is in the journal, that a
// result counts only with a proof that fits its exact input and output, and that
// every accepted job ends with a result or a reason.
package regional
