package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

// The exit codes of every command.
const (
	ExitOK          = 0
	ExitFailed      = 1 // it was tried and failed
	ExitUsage       = 2 // the command line is wrong; nothing was tried
	ExitUnreachable = 3 // no node answers
	ExitTask        = 4 // the task ended without a result
	ExitDenied      = 5 // not permitted
	ExitTimeout     = 6 // it took longer than allowed
)

// usageError is a command line that cannot be carried out.
type usageError struct{ text, hint string }

// Error implements error.
func (e *usageError) Error() string { return e.text }

func usagef(hint, format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...), hint: hint}
}

// exitCode maps an error to the code the process ends with.
func exitCode(err error) int {
	var usage *usageError
	var task *core.Failure
	var known *core.Error
	var program *guestExit
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &program):
		return program.code
	case errors.As(err, &usage):
		return ExitUsage
	case errors.As(err, &task):
		return ExitTask
	case errors.Is(err, client.ErrUnreachable):
		return ExitUnreachable
	case errors.Is(err, core.Denied), errors.Is(err, fs.ErrPermission):
		return ExitDenied
	case errors.Is(err, core.Timeout), errors.Is(err, context.DeadlineExceeded):
		return ExitTimeout
	case errors.As(err, &known) && known.Kind == core.Invalid && strings.HasPrefix(known.Op, "--"):
		return ExitUsage
	}
	return ExitFailed
}

// printError writes what failed and the one thing to do; joined errors are told
// one after the other.
func printError(w io.Writer, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			printError(w, one)
		}
		return
	}
	var program *guestExit
	if errors.As(err, &program) { // it has said itself what it had to say
		return
	}
	text := err.Error()
	if errors.Is(err, context.Canceled) {
		text = "interrupted"
	}
	fmt.Fprintf(w, "error: %s\n", clean(text))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(w, "fix:   %s\n", clean(hint))
	}
}

func hintOf(err error) string {
	var usage *usageError
	if errors.As(err, &usage) {
		return usage.hint
	}
	var task *core.Failure
	if errors.As(err, &task) {
		return hintForReason(task.Reason)
	}
	var known *core.Error
	if errors.As(err, &known) {
		return known.Hint
	}
	return ""
}

func hintForReason(r core.Reason) string {
	switch r {
	case core.ReasonNoCapableWorker:
		return "ask for less, start a node that has what is missing, or wait longer with --queue-timeout"
	case core.ReasonDeadline:
		return "allow more with --timeout, or split the input over several tasks"
	case core.ReasonInvalidInput, core.ReasonOverflow:
		return "correct the task's data and submit it again"
	case core.ReasonAttemptsExhausted, core.ReasonExecutionFailed:
		return "see who tried with `tenzro task get ID`, then submit it again"
	case core.ReasonOutOfFuel:
		return "allow more with limits.fuel, or --fuel of tenzro wasm run"
	case core.ReasonMemoryLimit:
		return "allow more with limits.memoryMB, or --memory of tenzro wasm run and tenzro container run"
	case core.ReasonOutputLimit:
		return "have the program write less, or split the work over several tasks"
	case core.ReasonInvalidModule:
		return "build it for WASI preview 1; tenzro wasm convert says what is wrong with it"
	case core.ReasonTrap, core.ReasonStackOverflow:
		return "correct the program: it fails everywhere"
	case core.ReasonInternal:
		return "look into the node's log"
	}
	return "submit it again if it is still wanted"
}
