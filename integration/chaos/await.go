package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pollEvery is the pause between two looks.
const pollEvery = 50 * time.Millisecond

// final is an error that waiting does not mend.
type final struct{ error }

func stop(err error) error { return final{err} }

// await repeats check until it passes, at most for so long.
func await(ctx context.Context, what string, within time.Duration, check func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := check(limited)
		var end final
		switch {
		case err == nil:
			return nil
		case errors.As(err, &end):
			return fmt.Errorf("waiting for %s: %w", what, end.error)
		}
		if !pause(limited, pollEvery) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("waited %s for %s: %w", within, what, err)
		}
	}
}

// pause waits and reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
