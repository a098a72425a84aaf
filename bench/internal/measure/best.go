package measure

import (
	"math"
	"time"
)

// Best returns what one call of op takes, in nanoseconds, in the best of a number
// of slices of calls: for operations of less than a microsecond, which nothing else
// on the machine should be able to slow down in all slices. The first error ends it.
func Best(slices, calls int, op func() error) (float64, error) {
	best := math.Inf(1)
	for range slices {
		began := time.Now()
		for range calls {
			if err := op(); err != nil {
				return 0, err
			}
		}
		best = min(best, float64(time.Since(began).Nanoseconds())/float64(calls))
	}
	return best, nil
}
