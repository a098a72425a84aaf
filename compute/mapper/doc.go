// Package mapper is the engine of the task type "map": another task, its data a
// template (package jobs/template), done for each item of a list, of the lines of a
// text or of the rows of a table, and the results put together. docs/map.md is for
// those who write such tasks.
//
// It is not a scheduler: a worker does the items of its part one after the other,
// inside the one reservation of the part, and how many parts there are the region
// decides as for any task. It guarantees that the result has the same bytes however
// the items are shared out; that every item's data and every item's result is
// judged by the planner of its own type (a program's code once, in the first item);
// that no program runs where results are judged or merged; and that an item that
// fails ends the task with its number. The engine of package compute runs it on local nodes, package
// jobs plans with it on the others.
package mapper
