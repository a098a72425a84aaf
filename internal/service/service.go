package service

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Service is a loop that works until ctx ends and then returns soon. Returning
// earlier means what the package comment says.
type Service interface {
	Serve(ctx context.Context) error
}

// Done is returned, alone or wrapped, by a service that has finished for good.
const Done = outcome("service finished")

type outcome string

// Error implements error.
func (o outcome) Error() string { return string(o) }

// FatalError stops every service of the tree; see Fatal.
type FatalError struct {
	Code int // the exit code of the process
	Err  error
}

// Fatal returns an error that stops the whole tree, up to the root, and makes
// the process exit with code.
func Fatal(code int, err error) error { return &FatalError{Code: code, Err: err} }

// Error returns the cause's message.
func (e *FatalError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *FatalError) Unwrap() error { return e.Err }

// ExitCode returns the exit code that err asks for and whether it is fatal.
func ExitCode(err error) (code int, fatal bool) {
	var f *FatalError
	if !errors.As(err, &f) {
		return 0, false
	}
	return f.Code, true
}

// Func makes a service of fn; name is used where it is added without one.
func Func(name string, fn func(ctx context.Context) error) Service {
	return &function{name: name, serve: fn}
}

type function struct {
	name  string
	serve func(ctx context.Context) error
}

var (
	_ Service      = (*function)(nil)
	_ fmt.Stringer = (*function)(nil)
)

// Serve implements Service.
func (f *function) Serve(ctx context.Context) error { return f.serve(ctx) }

// String returns the name.
func (f *function) String() string { return f.name }

// Every returns a service that calls fn at once and then again and again, with a
// pause of interval plus a random part below jitter between the end of one call
// and the start of the next. Jitter keeps a fleet that started together from
// acting together. An error of fn ends the service under the usual policy.
func Every(name string, interval, jitter time.Duration, fn func(ctx context.Context) error) Service {
	return Func(name, func(ctx context.Context) error {
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-timer.C:
			}
			if err := fn(ctx); err != nil {
				return err
			}
			timer.Reset(interval + randomBelow(jitter))
		}
	})
}

func randomBelow(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
