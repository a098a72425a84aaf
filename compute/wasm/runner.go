package wasm

import (
	"context"

	"github.com/tenzro/tenzro/compute/sandbox"
)

// Runner runs a handler somewhere it can be killed, and says how that ended: a
// sandbox.Pool, in whose children Guest.Handle is known as HandlerName.
type Runner interface {
	Run(ctx context.Context, job sandbox.Job) (sandbox.Result, error)
}

var _ Runner = (*sandbox.Pool)(nil)
