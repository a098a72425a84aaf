package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fake(t *testing.T, token string, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	c, err := New(srv.URL, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); srv.Close() })
	return c
}

func TestBase(t *testing.T) {
	tests := map[string]string{
		"http://127.0.0.1:8080":     "http://127.0.0.1:8080",
		"127.0.0.1:8080":            "http://127.0.0.1:8080",
		"0.0.0.0:8080":              "http://127.0.0.1:8080",
		"[::]:8080":                 "http://127.0.0.1:8080",
		":8080":                     "http://127.0.0.1:8080",
		"https://n.example/proxy/":  "https://n.example/proxy",
		"http://n.example?x=1#frag": "http://n.example",
		"ftp://n.example":           "",
		"http://":                   "",
		"":                          "",
		"http://a b":                "",
	}
	for in, want := range tests {
		c, err := New(in, "")
		switch {
		case want == "" && !errors.Is(err, core.Invalid):
			t.Errorf("New(%q): error %v, want invalid", in, err)
		case want != "" && (err != nil || c.Base() != want):
			t.Errorf("New(%q): %v, error %v, want %s", in, c, err, want)
		}
	}
}

// TestErrorsKeepWhatTheNodeSaid: kind, field, hint and request id of the
// problem arrive; an answer that is no problem is judged by its status.
func TestErrorsKeepWhatTheNodeSaid(t *testing.T) {
	tests := map[string]struct {
		status int
		body   string
		kind   core.Kind
		text   string
		hint   string
	}{
		"problem":         {400, `{"status":400,"detail":"data is missing","code":"invalid","field":"data","hint":"add it","requestId":"r1"}`, core.Invalid, "data is missing (request r1)", "add it"},
		"only a title":    {409, `{"title":"busy","code":"conflict"}`, core.Conflict, "busy", ""},
		"code wins":       {400, `{"detail":"x","code":"unsupported"}`, core.Unsupported, "x", ""},
		"unauthorized":    {401, ``, core.Denied, "401", "--token"},
		"forbidden":       {403, `{}`, core.Denied, "403", "--token"},
		"missing":         {404, `<html>`, core.NotFound, "404", "task list"},
		"too many":        {429, ``, core.Exhausted, "429", "try again"},
		"gateway timeout": {504, ``, core.Timeout, "504", ""},
		"not ready":       {503, ``, core.Unavailable, "503", ""},
		"other 4xx":       {418, ``, core.Invalid, "418", ""},
		"server error":    {500, ``, core.Internal, "500", ""},
		"redirect":        {302, ``, core.Internal, "302", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := fake(t, "", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			_, err := c.Status(context.Background(), "t1")
			var known *core.Error
			if !errors.As(err, &known) || known.Kind != tt.kind || !strings.Contains(err.Error(), tt.text) || !strings.Contains(known.Hint, tt.hint) {
				t.Errorf("error %#v (%v), want %v, %q, hint %q", known, err, tt.kind, tt.text, tt.hint)
			}
			if errors.Is(err, ErrUnreachable) {
				t.Error("a node that answered is reachable")
			}
		})
	}
}

func TestRequestsCarryTokenAndKey(t *testing.T) {
	c := fake(t, "secret", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Idempotency-Key") == "" ||
			r.Header.Get("Content-Type") != "application/json" || string(body) != `{"type":"compute"}` || r.URL.RawQuery != "reuse=true" {
			t.Errorf("request %v %v %s", r.URL, r.Header, body)
		}
		_, _ = io.WriteString(w, `{"taskId":"t1","status":"pending"}`)
	})
	status, err := c.Submit(context.Background(), []byte(`{"type":"compute"}`), true)
	if err != nil || status.TaskID != "t1" || status.Status != core.TaskPending {
		t.Errorf("status %+v, error %v", status, err)
	}
}

func TestUnusableAnswers(t *testing.T) {
	for name, body := range map[string]string{"not JSON": "<html>", "other JSON": `{"progress":"half"}`} {
		t.Run(name, func(t *testing.T) {
			c := fake(t, "", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
			if _, err := c.Status(context.Background(), "t1"); !errors.Is(err, core.Corrupt) {
				t.Errorf("error %v, want corrupt", err)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := listener.Addr().String()
	listener.Close()
	c, err := New(free, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Get(context.Background(), "/livez", nil)
	if !errors.Is(err, ErrUnreachable) || !errors.Is(err, core.Unavailable) || !strings.Contains(err.Error(), free) {
		t.Errorf("error %v, want unreachable with the address", err)
	}
	broken := fake(t, "", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if _, err := broken.Get(context.Background(), "/livez", nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("broken connection: error %v", err)
	}
}

func TestCancelledAndLate(t *testing.T) {
	c := fake(t, "", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Get(ctx, "/livez", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Get(ctx, "/livez", nil); !errors.Is(err, core.Timeout) || errors.Is(err, ErrUnreachable) {
		t.Errorf("late: %v", err)
	}
}

func TestReadRuntime(t *testing.T) {
	tests := map[string]struct {
		text string
		kind core.Kind
	}{
		"missing":    {"", core.Unavailable},
		"not JSON":   {"{", core.Corrupt},
		"no address": {`{"pid":1}`, core.Corrupt},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ReadRuntime(homeWith(t, tt.text))
			if core.KindOf(err) != tt.kind || errors.Is(err, ErrUnreachable) != (tt.text == "") {
				t.Errorf("error %v, want %v", err, tt.kind)
			}
		})
	}
	r, err := ReadRuntime(homeWith(t, `{"pid":7,"peerId":"12D3","bootstrap":"/ip4/1","http":"127.0.0.1:8080","roles":["global"]}`))
	if err != nil || r.PID != 7 || r.HTTP != "127.0.0.1:8080" || r.Bootstrap != "/ip4/1" {
		t.Errorf("runtime %+v, error %v", r, err)
	}
}

func homeWith(t *testing.T, text string) string {
	t.Helper()
	home := t.TempDir()
	if text != "" {
		if err := os.WriteFile(filepath.Join(home, RuntimeFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return home
}
