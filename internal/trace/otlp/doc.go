// Package otlp takes the spans of a node to a collector: OTLP over HTTP with JSON
// bodies, which every OpenTelemetry collector speaks.
//
// It is not an SDK: no sampling, no propagation, no metrics or logs. What is traced
// and what belongs together is decided by package internal/trace.
//
// It guarantees that nobody ever waits for the collector: spans wait in a queue
// of fixed size, one that finds no room is dropped and counted, and a collector
// that does not answer is told to the operator once a minute. Close gives what is
// left two seconds. A node runs at most one Exporter.
package otlp
