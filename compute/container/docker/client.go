package docker

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

	"github.com/tenzro/tenzro/core"
)

const (
	// callTimeout bounds one call. Creating a container takes an engine on a busy disk
	// seconds.
	callTimeout = 30 * time.Second
	// maxAnswer bounds one answer, bytes; what an engine says of an image or of itself
	// is some ten thousand.
	maxAnswer = 4 << 20
	// maxMessage bounds what of an engine's error is told.
	maxMessage = 300
	// host stands in requests; a socket has none.
	host = "docker"
)

// Client talks to one engine in one version of its API.
type Client struct {
	socket string
	prefix string // "/v1.41", or empty before Open knows the version
	http   *http.Client
}

// Open asks the engine behind a unix socket for its version and returns a client that
// speaks the oldest version of the API that both know.
func Open(ctx context.Context, socket string) (*Client, Version, error) {
	c := &Client{socket: socket}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) },
		DisableCompression:     true,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: maxHead,
	}}
	var v Version
	if err := c.call(ctx, http.MethodGet, "/version", nil, nil, &v); err != nil {
		c.Close()
		return nil, v, err
	}
	spoken, err := v.agreed()
	if err != nil {
		c.Close()
		return nil, v, err
	}
	c.prefix = "/v" + spoken
	return c, v, nil
}

// Close drops idle connections. What runs goes on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", c.socket)
}

// call sends one request with in as JSON, if it is not nil, and reads the answer into
// out, if it is not nil.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body io.Reader
	kind := ""
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding a request to the engine: %w", err)
		}
		body, kind = bytes.NewReader(text), "application/json"
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	text, err := c.send(ctx, method, path, query, kind, body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(text, out); err != nil {
		return corrupt(path, "an answer that is no JSON of the expected shape: %v", err)
	}
	return nil
}

// send does one request and returns the body of a good answer.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, kind string, body io.Reader) ([]byte, error) {
	resp, err := c.roundTrip(ctx, method, path, query, kind, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, unreachable(ctx, path, err)
	case len(text) > maxAnswer:
		return nil, corrupt(path, "an answer of more than %d bytes", maxAnswer)
	case resp.StatusCode >= http.StatusBadRequest:
		return nil, refused(path, resp.StatusCode, text)
	}
	return text, nil
}

func (c *Client) roundTrip(ctx context.Context, method, path string, query url.Values, kind string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, (&url.URL{Scheme: "http", Host: host, Path: c.prefix + path, RawQuery: query.Encode()}).String(), body)
	if err != nil {
		return nil, fmt.Errorf("making a request to the engine: %w", err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(ctx, path, err)
	}
	return resp, nil
}

// unreachable is a call that got no answer. When the caller's own context ended, its
// error is in the chain.
func unreachable(ctx context.Context, path string, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the address, which says nothing
	}
	if cause := ctx.Err(); cause != nil {
		err = cause
	}
	return core.Errorf(core.Unavailable, "engine"+path, "the container engine does not answer: %w", err).
		WithHint("check that it runs and that this user may use its socket: docker version")
}

func corrupt(path, format string, args ...any) error {
	return core.Errorf(core.Corrupt, "engine"+path, "the container engine gave %s", fmt.Sprintf(format, args...))
}

// refused is an answer with a status that is an error.
func refused(path string, status int, text []byte) error {
	var said struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &said) != nil || said.Message == "" {
		said.Message = http.StatusText(status)
	}
	kind := core.Invalid
	switch {
	case status == http.StatusNotFound:
		kind = core.NotFound
	case status == http.StatusConflict:
		kind = core.Conflict
	case status >= http.StatusInternalServerError:
		kind = core.Unavailable
	}
	return core.Errorf(kind, "engine"+path, "the container engine refused: %s", printable(said.Message))
}

// printable makes what an engine says fit for logs and messages: short, of one line,
// and without control characters.
func printable(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxMessage)], "?")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
