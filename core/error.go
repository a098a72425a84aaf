package core

import (
	"errors"
	"fmt"
)

// Kind is the closed set of ways something fails. The numbers cross the wire:
// append only.
type Kind uint8

// The kinds. The comment says who has to act.
const (
	Internal    Kind = iota // a bug: the operator, then us
	Invalid                 // the caller sent something wrong
	NotFound                // the named thing does not exist (any more)
	Exists                  // it exists already and differs
	Denied                  // the caller may not
	Conflict                // not in this state
	Exhausted               // a limit was reached; try later or ask for less
	Unavailable             // the other side is not reachable; try again
	Timeout                 // it took longer than allowed
	Corrupt                 // stored or received bytes are damaged
	Unsupported             // this version or build cannot
	Full                    // the disk is full: the operator
	kindCount
)

//archtest:constant
var kindNames = [kindCount]string{"internal", "invalid", "not_found", "exists", "denied", "conflict",
	"exhausted", "unavailable", "timeout", "corrupt", "unsupported", "full"}

// String returns the snake_case name that crosses the wire.
func (k Kind) String() string {
	if k < kindCount {
		return kindNames[k]
	}
	return fmt.Sprintf("kind_%d", uint8(k))
}

// Error lets a Kind be the target of errors.Is: errors.Is(err, core.NotFound).
func (k Kind) Error() string { return k.String() }

// Error is an error of a known kind. Op is what was being done or, for Invalid,
// the field that is wrong; Hint is the one thing to do and may be empty.
type Error struct {
	Kind Kind
	Op   string
	Hint string
	Err  error
}

// Errorf builds an *Error; format and args are those of fmt.Errorf, %w included.
func Errorf(k Kind, op, format string, args ...any) *Error {
	return &Error{Kind: k, Op: op, Err: fmt.Errorf(format, args...)}
}

// WithHint sets the one thing the reader should do and returns e.
func (e *Error) WithHint(hint string) *Error {
	e.Hint = hint
	return e
}

// Error returns the message without op or kind: the message names what failed.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, kind) true for the error's own kind.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// KindOf returns the kind of the first *Error in err's chain, Internal when
// there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
