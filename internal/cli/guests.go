package cli

import (
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/wasm"
)

// guests are what sandbox children of this program can run, by name. Each engine
// that runs the work of strangers adds its own.
func guests() map[string]sandbox.Handler {
	return map[string]sandbox.Handler{
		wasm.HandlerName: wasm.NewGuest(wasm.GuestConfig{}).Handle,
	}
}
