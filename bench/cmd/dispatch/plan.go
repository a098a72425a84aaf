package main

// plan is how much is measured.
type plan struct {
	workers  []int // sizes of the region; the first is held against the last
	inFlight []int
	pairs    int // alternating measurements of yardstick and subject
	echoes   int // requests in one half of a pair
	serial   int // jobs, one at a time, in one half of a pair
	burst    int // jobs, 128 at a time, in one half of a pair
	growth   int // the same, in one half of a pair that holds many workers against few: some 20 for each
	atOnce   int // jobs of a second that come at the same moment, fewer than there are slots
	memory   int // finished jobs of the memory rows
	paced    int // jobs at pacedRate
	cancels  int // jobs that are cancelled while they run
	table    int // jobs per line of the load table, at most 2 s when one at a time
}

const (
	slots       = 4   // subtasks that a worker runs at once
	burstFlight = 128 // jobs in flight in a burst
	pacedRate   = 100 // jobs per second, the documented rate of one region
	warm        = 200 // jobs before anything counts
)

func full() plan {
	return plan{workers: []int{10, 100, 1000}, inFlight: []int{1, 16, burstFlight}, pairs: 7, echoes: 5000, serial: 1000,
		burst: 6000, growth: 20_000, atOnce: 500, memory: 10_000, paced: 2000, cancels: 500, table: 6000}
}

func smoke() plan {
	return plan{workers: []int{3, 6, 12}, inFlight: []int{1, 16, burstFlight}, pairs: 2, echoes: 200, serial: 50,
		burst: 300, growth: 300, atOnce: 40, memory: 500, paced: 50, cancels: 20, table: 200}
}
