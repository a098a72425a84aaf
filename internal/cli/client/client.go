package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tenzro/tenzro/core"
)

// Limits of one call.
const (
	maxAnswerBytes = 64 << 20
	callTimeout    = 30 * time.Second
	dialTimeout    = 5 * time.Second
	// transferTimeout is what an object may take over a slow link.
	transferTimeout = 5 * time.Minute
)

// ErrUnreachable marks errors of a node that could not be connected to or that
// broke off; the request may have been executed in the second case.
var ErrUnreachable = errors.New("node not reachable")

// Client calls one node. It is safe for concurrent use.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// New returns a client for the API at address, which is a URL or host:port; an
// address without a host, or with one that means "all addresses", is taken as
// loopback. An empty token sends none.
func New(address, token string) (*Client, error) {
	base, err := parseBase(address)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
		ForceAttemptHTTP2:   true,
		IdleConnTimeout:     callTimeout,
	}
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: base, token: token, http: &http.Client{Transport: transport, CheckRedirect: refuse}}, nil
}

// Close ends the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Base returns the address as a URL without a slash at the end.
func (c *Client) Base() string { return c.base.String() }

func parseBase(address string) (*url.URL, error) {
	full := address
	if !strings.Contains(full, "://") {
		full = "http://" + full
	}
	u, err := url.Parse(full)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, core.Errorf(core.Invalid, "--api", "%.80q is not the address of an API", address).
			WithHint("give a URL such as http://127.0.0.1:8080")
	}
	if host, port, err := net.SplitHostPort(u.Host); err == nil {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			u.Host = net.JoinHostPort("127.0.0.1", port)
		}
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}, nil
}

// Get asks for path and returns the JSON of the answer.
func (c *Client) Get(ctx context.Context, path string, query url.Values) (json.RawMessage, error) {
	return c.call(ctx, http.MethodGet, path, query, nil)
}

// GetInto asks for path and decodes the answer into out.
func (c *Client) GetInto(ctx context.Context, path string, query url.Values, out any) error {
	return decode(out)(c.Get(ctx, path, query))
}

// Submit hands in a task in its JSON form and returns the node's answer. With reuse
// an earlier task of the same content, if there is one, is the answer.
func (c *Client) Submit(ctx context.Context, spec []byte, reuse bool) (core.TaskStatus, error) {
	var status core.TaskStatus
	var query url.Values
	if reuse {
		query = url.Values{"reuse": {"true"}}
	}
	err := decode(&status)(c.call(ctx, http.MethodPost, "/api/v1/tasks", query, spec))
	return status, err
}

// Status returns where a task is.
func (c *Client) Status(ctx context.Context, id core.TaskID) (core.TaskStatus, error) {
	var status core.TaskStatus
	err := c.GetInto(ctx, TaskPath(id), nil, &status)
	return status, err
}

// Result returns a task's end in its JSON form, waiting at the node for up to
// wait. While the task has not ended the error is core.Conflict.
func (c *Client) Result(ctx context.Context, id core.TaskID, wait time.Duration) (json.RawMessage, error) {
	return c.Get(ctx, TaskPath(id)+"/result", waitQuery(wait))
}

// Cancel asks for the end of a task.
func (c *Client) Cancel(ctx context.Context, id core.TaskID) (json.RawMessage, error) {
	return c.call(ctx, http.MethodPost, TaskPath(id)+"/cancel", nil, nil)
}

// SubmitWorkflow hands in a workflow in its JSON form and returns the node's
// answer.
func (c *Client) SubmitWorkflow(ctx context.Context, graph []byte) (core.TaskStatus, error) {
	var status core.TaskStatus
	err := decode(&status)(c.call(ctx, http.MethodPost, workflowsPath, nil, graph))
	return status, err
}

// CancelWorkflow asks for the end of a workflow.
func (c *Client) CancelWorkflow(ctx context.Context, id core.TaskID) (json.RawMessage, error) {
	return c.call(ctx, http.MethodPost, WorkflowPath(id)+"/cancel", nil, nil)
}

const workflowsPath = "/api/v1/workflows"

// WorkflowPath returns the path of a workflow.
func WorkflowPath(id core.TaskID) string { return workflowsPath + "/" + url.PathEscape(string(id)) }

// Put replaces what is at path by body and returns the JSON of the answer.
func (c *Client) Put(ctx context.Context, path string, body any) (json.RawMessage, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, core.Errorf(core.Internal, "encode", "encoding the request: %w", err)
	}
	return c.call(ctx, http.MethodPut, path, nil, text)
}

// Post hands body to path and returns the JSON of the answer.
func (c *Client) Post(ctx context.Context, path string, body any) (json.RawMessage, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, core.Errorf(core.Internal, "encode", "encoding the request: %w", err)
	}
	return c.call(ctx, http.MethodPost, path, nil, text)
}

// Delete removes what is at path and returns the JSON of the answer.
func (c *Client) Delete(ctx context.Context, path string) (json.RawMessage, error) {
	return c.call(ctx, http.MethodDelete, path, nil, nil)
}

// TaskPath returns the path of a task.
func TaskPath(id core.TaskID) string { return "/api/v1/tasks/" + url.PathEscape(string(id)) }

func waitQuery(wait time.Duration) url.Values {
	if wait <= 0 {
		return nil
	}
	return url.Values{"wait": {wait.String()}}
}

// Decode reads an answer into a T.
func Decode[T any](answer json.RawMessage) (T, error) {
	var out T
	err := decode(&out)(answer, nil)
	return out, err
}

// decode returns a function that takes an answer and stores it in out.
func decode(out any) func(json.RawMessage, error) error {
	return func(answer json.RawMessage, err error) error {
		if err != nil {
			return err
		}
		if err := json.Unmarshal(answer, out); err != nil {
			return core.Errorf(core.Corrupt, "decode answer", "the node's answer is not what this version expects: %w", err).
				WithHint("compare `tenzro version` with `tenzro node status`")
		}
		return nil
	}
}

// call makes one request whose answer is JSON. The deadline covers what the node was
// asked to wait.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body []byte) (json.RawMessage, error) {
	wait, _ := time.ParseDuration(query.Get("wait"))
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return nil, err
	}
	return c.checked(c.send(req, callTimeout+wait))
}

// send makes a request and returns the answer whatever it is.
func (c *Client) send(req *http.Request, timeout time.Duration) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(req.Context(), timeout)
	defer cancel()
	resp, err := c.http.Do(req.WithContext(ctx))
	if err != nil {
		return nil, nil, c.connectError(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err != nil {
		return nil, nil, c.connectError(ctx, err)
	}
	if len(answer) > maxAnswerBytes {
		return nil, nil, core.Errorf(core.Exhausted, "read answer", "the node's answer is larger than %d MiB", maxAnswerBytes>>20)
	}
	return resp, answer, nil
}

// checked returns the answer if it is good and JSON.
func (c *Client) checked(resp *http.Response, answer []byte, err error) (json.RawMessage, error) {
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, problem(resp, answer)
	}
	if !json.Valid(answer) {
		return nil, core.Errorf(core.Corrupt, "read answer", "%s answered something that is not JSON", c.Base()).
			WithHint("check that --api or TENZRO_API names a tenzro node")
	}
	return answer, nil
}

func (c *Client) request(ctx context.Context, method, path string, query url.Values, body []byte) (*http.Request, error) {
	target := c.Base() + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, core.Errorf(core.Invalid, "request", "building the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPost {
		// The transport repeats a request on a fresh connection when a kept one
		// turns out dead; the key makes that one task.
		req.Header.Set("Idempotency-Key", uuid.NewString())
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// connectError tells a deadline from a node that is not there.
func (c *Client) connectError(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) && !isDial(err) {
		return core.Errorf(core.Timeout, "call", "%s did not answer in time", c.Base()).
			WithHint("try again, or look at the node with `tenzro doctor`")
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return core.Errorf(core.Unavailable, "connect", "%w at %s: %w", ErrUnreachable, c.Base(), err).
		WithHint("start it with `tenzro run`, or name another node with --api")
}

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// problemBody is what the commands use of an RFC 9457 answer.
type problemBody struct {
	Detail    string `json:"detail"`
	Title     string `json:"title"`
	Code      string `json:"code"`
	Field     string `json:"field"`
	Hint      string `json:"hint"`
	RequestID string `json:"requestId"`
}

// problem turns an answer that is no success into an error.
func problem(resp *http.Response, answer []byte) error {
	var p problemBody
	if err := json.Unmarshal(answer, &p); err != nil || p.Detail == "" && p.Title == "" {
		p = problemBody{Detail: "the node answered " + resp.Status}
	}
	if p.Detail == "" {
		p.Detail = p.Title
	}
	if p.RequestID != "" {
		p.Detail += fmt.Sprintf(" (request %s)", p.RequestID)
	}
	if p.Hint == "" {
		p.Hint = hintFor(resp.StatusCode)
	}
	return core.Errorf(kindOf(p.Code, resp.StatusCode), p.Field, "%s", p.Detail).WithHint(p.Hint)
}

// kindOf prefers the kind the node names over what the status alone tells.
func kindOf(code string, status int) core.Kind {
	for k := core.Internal; k <= core.Full; k++ {
		if k.String() == code {
			return k
		}
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return core.Denied
	case http.StatusNotFound:
		return core.NotFound
	case http.StatusConflict:
		return core.Conflict
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return core.Timeout
	case http.StatusTooManyRequests, http.StatusRequestEntityTooLarge:
		return core.Exhausted
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		return core.Unavailable
	}
	if status/100 == 4 {
		return core.Invalid
	}
	return core.Internal
}

func hintFor(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "pass a token with --token or TENZRO_TOKEN; `tenzro token create` on the node's machine makes one"
	case http.StatusTooManyRequests:
		return "wait a little and try again"
	case http.StatusNotFound:
		return "check the id; `tenzro task list` shows the tasks this node knows"
	}
	return ""
}
