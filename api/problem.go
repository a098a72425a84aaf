package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tenzro/tenzro/core"
)

// Problem is the body of every error (RFC 9457). Type is always "about:blank",
// so Title is the status in words; Code is what programs switch on.
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`            // a core.Kind name, or a word for what HTTP itself refuses
	Field     string `json:"field,omitempty"` // where in the request, when Code is "invalid"
	Hint      string `json:"hint,omitempty"`  // the one thing to do
	RequestID string `json:"requestId"`       // also in the header X-Request-Id and in the node's log

	retryAfter time.Duration
}

// Error makes a Problem travel as the error of a handler.
func (p *Problem) Error() string { return p.Detail }

// refuse builds the problems that HTTP itself has a status for.
func refuse(status int, code, detail, hint string) *Problem {
	return &Problem{Status: status, Code: code, Detail: detail, Hint: hint}
}

// statusOf is the one table from kinds to statuses.
func statusOf(k core.Kind) int {
	switch k {
	case core.Invalid:
		return http.StatusBadRequest
	case core.NotFound:
		return http.StatusNotFound
	case core.Exists:
		return http.StatusUnprocessableEntity
	case core.Denied:
		return http.StatusForbidden
	case core.Conflict:
		return http.StatusConflict
	case core.Exhausted:
		return http.StatusTooManyRequests
	case core.Unavailable:
		return http.StatusServiceUnavailable
	case core.Timeout:
		return http.StatusGatewayTimeout
	case core.Corrupt:
		return http.StatusBadGateway
	case core.Unsupported:
		return http.StatusNotImplemented
	case core.Full:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}

// problemOf turns any error into what the client may know of it.
func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	kind := kindOf(err)
	p = &Problem{Status: statusOf(kind), Code: kind.String(), Detail: err.Error()}
	var e *core.Error
	if errors.As(err, &e) {
		p.Hint = e.Hint
	}
	switch kind {
	case core.Invalid:
		p.Field = e.Op
	case core.Exhausted, core.Unavailable:
		p.retryAfter = time.Second
	case core.Internal:
		p.Detail, p.Hint = "an internal error stopped this request", "look for the requestId in the node's log"
	}
	return p
}

// kindOf is core.KindOf that also knows what a context says.
func kindOf(err error) core.Kind {
	kind := core.KindOf(err)
	switch {
	case kind != core.Internal:
	case errors.Is(err, context.DeadlineExceeded):
		return core.Timeout
	case errors.Is(err, context.Canceled):
		return core.Unavailable
	}
	return kind
}

// withHint gives err a hint unless it has one.
func withHint(err error, kind core.Kind, hint string) error {
	var e *core.Error
	if errors.As(err, &e) && e.Kind == kind && e.Hint == "" {
		return core.Errorf(kind, e.Op, "%w", err).WithHint(hint)
	}
	return err
}
