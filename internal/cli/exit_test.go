package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

func TestExitCodes(t *testing.T) {
	unreachable := core.Errorf(core.Unavailable, "connect", "%w: refused", client.ErrUnreachable)
	tests := map[string]struct {
		err  error
		want int
	}{
		"none":                     {nil, ExitOK},
		"any":                      {errors.New("x"), ExitFailed},
		"the node refused it":      {core.Errorf(core.Invalid, "data", "x"), ExitFailed},
		"not found":                {core.Errorf(core.NotFound, "taskId", "x"), ExitFailed},
		"node answers, not ready":  {core.Errorf(core.Unavailable, "ready", "x"), ExitFailed},
		"interrupted":              {context.Canceled, ExitFailed},
		"command line":             {usagef("h", "x"), ExitUsage},
		"value of a flag":          {core.Errorf(core.Invalid, "--http", "x"), ExitUsage},
		"value in the file":        {core.Errorf(core.Invalid, "api.addr", "x"), ExitFailed},
		"unreachable":              {unreachable, ExitUnreachable},
		"unreachable, wrapped":     {fmt.Errorf("doing: %w", unreachable), ExitUnreachable},
		"task failed":              {&core.Failure{Reason: core.ReasonDeadline}, ExitTask},
		"task failed, joined":      {errors.Join(nil, &core.Failure{Reason: core.ReasonInternal}), ExitTask},
		"denied":                   {core.Errorf(core.Denied, "token", "x"), ExitDenied},
		"denied by the system":     {fmt.Errorf("open: %w", fs.ErrPermission), ExitDenied},
		"late":                     {core.Errorf(core.Timeout, "wait", "x"), ExitTimeout},
		"late, from a context":     {context.DeadlineExceeded, ExitTimeout},
		"flag that failed to work": {core.Errorf(core.Unavailable, "--home", "x"), ExitFailed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(tt.err); got != tt.want {
				t.Errorf("exit code of %v = %d, want %d", tt.err, got, tt.want)
			}
		})
	}
}

// TestPrintError: what failed and the one thing to do, for each error of a
// joined one; nothing in it reaches the terminal's controls.
func TestPrintError(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"with a hint":    {core.Errorf(core.Denied, "key", "no").WithHint("do this"), "error: no\nfix:   do this\n"},
		"without":        {errors.New("no"), "error: no\n"},
		"joined":         {errors.Join(usagef("h1", "a"), errors.New("b")), "error: a\nfix:   h1\nerror: b\n"},
		"interrupted":    {context.Canceled, "error: interrupted\n"},
		"terminal codes": {errors.New("\x1b[2J\u009b!"), "error: ?[2J?!\n"},
		"failed task":    {&core.Failure{Reason: core.ReasonDeadline, Message: "late"}, "error: deadline: late\nfix:   " + hintForReason(core.ReasonDeadline) + "\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			printError(&out, tt.err)
			if out.String() != tt.want {
				t.Errorf("printed %q, want %q", out.String(), tt.want)
			}
		})
	}
}

// TestEveryReasonHasAFix: a task that failed always says what to do.
func TestEveryReasonHasAFix(t *testing.T) {
	for _, r := range []core.Reason{core.ReasonNoCapableWorker, core.ReasonDeadline, core.ReasonCancelled, core.ReasonInvalidInput, core.ReasonOverflow,
		core.ReasonExecutionFailed, core.ReasonAttemptsExhausted, core.ReasonInternal} {
		if hintForReason(r) == "" {
			t.Errorf("reason %s has no fix", r)
		}
	}
}
