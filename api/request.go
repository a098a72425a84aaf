package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// decode reads the body of x strictly into a T and validates it.
func decode[T interface{ Validate() error }](s *Server, x *exchange) (T, error) {
	var v T
	b, err := s.body(x)
	if err != nil {
		return v, err
	}
	if err := wire.DecodeStrictClosed(b, &v); err != nil {
		return v, placed(err)
	}
	return v, v.Validate()
}

// placed gives a tier that does not parse the field it stands in: the type that
// decodes itself does not know where it is, and no body has two.
func placed(err error) error {
	var e *core.Error
	if !errors.As(err, &e) || e.Kind != core.Invalid {
		return err
	}
	switch e.Op {
	case "tier":
		return core.Errorf(core.Invalid, "requirements.minTier", "%w", err).WithHint(e.Hint)
	case "":
		return core.Errorf(core.Invalid, "body", "%w", err).WithHint(e.Hint)
	}
	return err
}

// body reads the whole body within the route's limit and the memory that all
// bodies share.
func (s *Server) body(x *exchange) ([]byte, error) {
	if err := jsonBody(x.r); err != nil {
		return nil, err
	}
	limit := s.bodyLimit(x.route)
	size := x.r.ContentLength
	if size > limit {
		return nil, tooLarge(limit)
	}
	if size < 0 {
		size = limit // chunked: nobody knows yet
	}
	if err := s.holdMemory(x, size); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if x.r.ContentLength > 0 {
		buf.Grow(int(size) + bytes.MinRead) // one read sees the end without growing again
	}
	if _, err := buf.ReadFrom(http.MaxBytesReader(x.ResponseWriter, x.r.Body, limit)); err != nil {
		return nil, bodyError(err, limit)
	}
	return buf.Bytes(), nil
}

func (s *Server) bodyLimit(r *route) int64 {
	if r.bigBody {
		return s.cfg.Limits.TaskBody
	}
	return s.cfg.Limits.Body
}

// holdMemory reserves n bytes until releaseMemory, at the latest when the
// exchange ends.
func (s *Server) holdMemory(x *exchange, n int64) error {
	if n <= s.cfg.Limits.Body {
		return nil // bounded by the number of connections already
	}
	if s.bodies.Add(n) > s.cfg.Limits.BodyMemory {
		s.bodies.Add(-n)
		return core.Errorf(core.Exhausted, "body", "the bodies of other requests fill the memory set aside for them").
			WithHint("send large tasks with less parallelism")
	}
	x.held += n
	return nil
}

// needMemory gives back what of the reservation is more than n bytes.
func (s *Server) needMemory(x *exchange, n int64) {
	if more := x.held - n; more > 0 {
		s.bodies.Add(-more)
		x.held -= more
	}
}

func (s *Server) releaseMemory(x *exchange) {
	s.bodies.Add(-x.held)
	x.held = 0
}

func jsonBody(r *http.Request) error {
	ct := r.Header.Get("Content-Type")
	if ct == "" {
		return nil
	}
	if media, _, err := mime.ParseMediaType(ct); err == nil && media == typeJSON {
		return nil
	}
	return refuse(http.StatusUnsupportedMediaType, "unsupported_media_type",
		"the body must be JSON", "send the header Content-Type: application/json")
}

func tooLarge(limit int64) *Problem {
	p := refuse(http.StatusRequestEntityTooLarge, "too_large", "the body has more than "+strconv.FormatInt(limit, 10)+" bytes", "")
	p.Field = "body"
	return p
}

func bodyError(err error, limit int64) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, "timeout", "the body did not arrive in time", "send it faster")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return core.Errorf(core.Invalid, "body", "the body is shorter than announced")
	}
	return core.Errorf(core.Invalid, "body", "reading the body: %w", err)
}

// parseQuery returns the query parameters: only those of the route, each once.
func (x *exchange) parseQuery() (url.Values, error) {
	if x.r.URL.RawQuery == "" {
		return nil, nil
	}
	q, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return nil, core.Errorf(core.Invalid, "query", "the query does not parse: %w", err)
	}
	for name, values := range q {
		if !slices.ContainsFunc(x.route.params, func(p param) bool { return p.in == inQuery && p.name == name }) {
			return nil, core.Errorf(core.Invalid, "query", "query parameter %.40q is unknown here", name)
		}
		if len(values) > 1 {
			return nil, core.Errorf(core.Invalid, name, "query parameter %s is given %d times", name, len(values))
		}
	}
	return q, nil
}

// wait reads ?wait=, 0 when absent.
func (s *Server) wait(x *exchange) (time.Duration, error) {
	v := x.query.Get("wait")
	if v == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > s.cfg.Limits.MaxWait {
		return 0, core.Errorf(core.Invalid, "wait", "wait %.40q is not a duration from 0s to %s", v, s.cfg.Limits.MaxWait).
			WithHint("use for example ?wait=10s")
	}
	return d, nil
}

func (x *exchange) taskID() (core.TaskID, error) {
	return core.ParseTaskID(x.r.PathValue("taskId"))
}

// idempotencyKey returns the header, checked, empty when absent.
func (x *exchange) idempotencyKey() (string, error) {
	keys := x.r.Header.Values("Idempotency-Key")
	if len(keys) == 0 {
		return "", nil
	}
	key := keys[0]
	visible := strings.IndexFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) < 0
	if len(keys) > 1 || len(key) == 0 || len(key) > 128 || !visible {
		return "", core.Errorf(core.Invalid, "Idempotency-Key", "the header Idempotency-Key must be given once, with 1 to 128 visible ASCII characters")
	}
	return key, nil
}
