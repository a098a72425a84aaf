// Package tiny is the job that every benchmark runs: the documented sample,
// small enough that what is measured is the way there and back.
package tiny

// Data and Result are the job's data and what it gives.
const (
	Data   = `{"input":[1,2,3,4,5],"operations":["square","sum"]}`
	Result = `55`
)
