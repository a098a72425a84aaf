package wasm_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/wasm"
)

// TestMain lets the test binary be its own sandbox child.
func TestMain(m *testing.M) {
	if sandbox.Main(map[string]sandbox.Handler{wasm.HandlerName: wasm.NewGuest(wasm.GuestConfig{}).Handle}) {
		return
	}
	goleak.VerifyTestMain(m)
}
