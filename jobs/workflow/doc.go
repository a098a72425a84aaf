// Package workflow is a graph of tasks that is one job: what such a graph may
// say, and how it is brought to its end.
//
// Graph is its JSON form, Parse checks it completely and makes a Plan, Planner
// lets a gateway refuse a bad one before anything runs, and Runner runs a Plan
// through the narrow interface Steps. It is not a scheduler and keeps no record:
// a step is an ordinary job, placed, repeated and remembered as any other.
//
// It guarantees that the id of a step's job depends on nothing but the workflow's
// id, the step, the element and the try (JobID). So whoever runs the same
// workflow again finds what has ended and joins what is running: every step
// counts once, and nothing but the jobs themselves has to be recorded. Results
// stay where the jobs are and are read when a step that needs them starts.
// Everything is bounded: see the constants in graph.go.
package workflow
