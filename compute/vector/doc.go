// Package vector is the engine of the task type "compute": a pipeline of named
// operations over one array of numbers, and the planner that cuts such a task
// into subtasks and puts their results together.
//
// Task data is {"input":[1,2,3],"operations":["square",{"op":"clamp","min":0,
// "max":5},"sum"]}; docs/compute.md lists the operations. An input without a
// fraction or exponent in any number is exact int64, any other is float64
// throughout. Every operation is elementwise, an associative reduce, or global
// (it needs the whole array at once). A pipeline whose first operation that is
// not elementwise is a reduce, or that has none, can be sharded.
//
// It is not a programming language and not a general JSON reader. It guarantees:
// the result has the same bytes whatever the number of shards and whatever the
// processor (sums, means, variances are computed exactly and rounded once;
// products fold fixed blocks; exp, log and powers use only operations that IEEE
// 754 defines to the bit); a result never holds NaN or an infinity; integers
// never wrap; hostile data or results cost at most a scan. The engine of package
// compute runs it on local nodes, package jobs plans with it on the others.
package vector
