//go:build race

package sim

// raceEnabled says that this is slow.
const raceEnabled = true
