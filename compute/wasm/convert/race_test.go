//go:build race

package convert_test

// raceEnabled says that the detector is built in.
const raceEnabled = true
