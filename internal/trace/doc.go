// Package trace remembers where the time of the last tasks went on this node, and
// knows the name under which a task is traced across nodes.
//
// It is not a telemetry pipeline: nothing leaves the node by itself. Context is
// the traceparent of W3C Trace Context level 1; Ring is a bounded memory of spans
// for those who ask, and hands them on to a Sink where one is configured.
//
// It guarantees that memory is bounded whatever is traced, that recording costs
// well under a microsecond and never waits for anybody but other recorders, and
// that nothing depends on it: a nil Ring is one that forgets.
package trace
