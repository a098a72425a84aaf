package api

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tenzro/tenzro/core"
)

const (
	typeJSON    = "application/json"
	typeProblem = "application/problem+json"
	typeBytes   = "application/octet-stream"
	slowLink    = 64 << 10 // bytes per second that a client must read at least
)

// exchange is one request and its answer. It wraps the ResponseWriter so that
// what was answered can be counted and logged.
type exchange struct {
	http.ResponseWriter
	r      *http.Request
	route  *route     // nil until the router matched
	id     string     // the request id
	query  url.Values // only what the route knows, each once
	status int        // 0 until the answer began
	held   int64      // bytes of body memory to give back
	// submitter is the name of the request's token, core.Anonymous without one.
	submitter string
}

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(code int) {
	if x.status == 0 {
		x.status = code
	}
	x.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return x.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController and the WebSocket upgrade reach the
// connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// json answers with status and v. An encoding failure is the handler's error.
func (x *exchange) json(status int, v any) error {
	return x.encode(status, typeJSON, v)
}

func (x *exchange) encode(status int, contentType string, v any) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // results are handed out as they were computed
	if err := enc.Encode(v); err != nil {
		return core.Errorf(core.Internal, "answer", "encoding the answer: %w", err)
	}
	x.bytes(status, contentType, buf.Bytes())
	return nil
}

func (x *exchange) bytes(status int, contentType string, body []byte) {
	if len(body) > 1<<20 { // a slow link may take its time: at least slowLink
		x.extend(writeTimeout + time.Duration(len(body)/slowLink)*time.Second)
	}
	h := x.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	x.WriteHeader(status)
	_, _ = x.Write(body) // the client is gone: nobody is left to tell
}

// problem answers with p under this exchange's request id.
func (x *exchange) problem(p *Problem) {
	full := *p
	full.Type, full.Title, full.RequestID = "about:blank", http.StatusText(p.Status), x.id
	if p.retryAfter > 0 {
		x.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	if p.Status == http.StatusUnauthorized {
		x.Header().Set("WWW-Authenticate", "Bearer")
	}
	_ = x.encode(p.Status, typeProblem, full) // strings and numbers always encode
}

// extend lets the answer take d from now. It also removes the read deadline,
// which would end the request's context when it passes.
func (x *exchange) extend(d time.Duration) {
	rc := http.NewResponseController(x.ResponseWriter)
	_ = rc.SetReadDeadline(time.Time{}) // a recorder in a test has no deadlines
	_ = rc.SetWriteDeadline(time.Now().Add(d))
}

// end answers with a problem. When the answer has begun only its end in the middle can
// tell: nothing more can be written, so that the connection closes without what ends a
// whole answer.
func (x *exchange) end(p *Problem) {
	if x.status == 0 {
		x.problem(p)
		return
	}
	_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(time.Unix(1, 0))
}

// requestID takes the client's own id when it is harmless, else makes one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" && validID(id) {
		return id
	}
	return rand.Text()
}

// validID reports whether s matches ^[A-Za-z0-9_-]{1,64}$.
func validID(s string) bool {
	_, err := core.ParseTaskID(s) // the same alphabet and length
	return err == nil
}
