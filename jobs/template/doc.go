// Package template puts values into the data of a task: wherever the data has an
// object {"$from":"name"}, {"$item":true} or {"$index":true}, a result, an element
// of a list or its place takes its place, in the very characters it was written in.
//
// It is not a language: nothing is computed, and a value is only ever a whole value
// or the part that a JSON pointer names. It reads JSON that was read strictly
// before, and guarantees that what it puts together is no longer than a task may
// be. Packages jobs/workflow and compute/mapper use it.
package template
