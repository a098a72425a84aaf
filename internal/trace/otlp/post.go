package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
)

// tracesPath is where a collector takes traces.
const tracesPath = "/v1/traces"

// maxAnswer is how much of a collector's answer is read.
const maxAnswer = 4 << 10

// Endpoint completes the address of a collector, http://host:port with or without
// the path of traces; empty stays empty. Anything else is core.Invalid.
func Endpoint(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err == nil && u.User != nil {
		return "", core.Errorf(core.Invalid, "endpoint", "the URL of a collector must not carry a password: it is shown by config show").
			WithHint("send traces to a collector on this machine, which knows the password of the next")
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
		return "", core.Errorf(core.Invalid, "endpoint", "%.60q is not the URL of a collector", s).
			WithHint("write http://host:4318 or https://host:4318")
	}
	if path := strings.TrimSuffix(u.Path, "/"); !strings.HasSuffix(path, tracesPath) {
		u.Path = path + tracesPath
	}
	return u.String(), nil
}

// refusal is an answer of the collector that is not 2xx.
type refusal struct {
	status string
	later  bool          // the same may be taken later
	after  time.Duration // not before; 0: nothing was said
}

// Error implements error.
func (r *refusal) Error() string { return fmt.Sprintf("it answered %.60q", r.status) }

// post sends one batch.
func (e *Exporter) post(ctx context.Context, batch []trace.Span) error {
	body, err := json.Marshal(e.cfg.request(batch))
	if err != nil {
		return &refusal{status: err.Error()} // strings and numbers always encode
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.cfg.Endpoint, bytes.NewReader(body))
	if err != nil {
		return &refusal{status: err.Error()}
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode/100 != 2 {
		return refused(resp)
	}
	e.metrics.taken(len(batch) - e.partly(answer, len(batch)))
	return nil
}

func refused(resp *http.Response) *refusal {
	r := &refusal{status: resp.Status}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		r.later = true
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		r.after = time.Duration(min(s, int(retryMost/time.Second))) * time.Second
	}
	return r
}

// partly returns how many spans of a batch the collector says it did not take, and
// counts them.
func (e *Exporter) partly(answer []byte, most int) int {
	var said struct {
		PartialSuccess struct {
			RejectedSpans json.RawMessage `json:"rejectedSpans"` // a number, in a string or not
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.Trim(string(said.PartialSuccess.RejectedSpans), `"`))
	if err != nil || n <= 0 {
		return 0
	}
	n = min(n, most)
	e.metrics.lost("collector", n)
	return n
}
