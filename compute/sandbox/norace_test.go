//go:build !race

package sandbox

// raced: see race_test.go.
const raced = false
