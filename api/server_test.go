package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/service"
)

var _ service.Service = (*api.Server)(nil)

// start serves until stop is called, which returns what Serve returned.
func start(t *testing.T, n *network, change func(*api.Config, *api.Deps)) (addr, metrics string, stop func() error) {
	t.Helper()
	s := newServer(t, n, func(c *api.Config, d *api.Deps) {
		c.MetricsAddr = "127.0.0.1:0"
		if change != nil {
			change(c, d)
		}
	})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	addr, metrics = s.Addrs()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	stopped := false
	stop = func() error {
		if cancel(); stopped {
			return nil
		}
		stopped = true
		return <-ended
	}
	t.Cleanup(func() { _ = stop(); http.DefaultClient.CloseIdleConnections() })
	return addr, metrics, stop
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestListeners: the API and the metrics are served where the configuration
// says, and the metrics also beside the API.
//
// spec 4.41 4.66 4.67 4.69
func TestListeners(t *testing.T) {
	addr, metrics, stop := start(t, newNetwork(), nil)
	if code, body := get(t, "http://"+addr+"/livez"); code != 200 || body != "{\"status\":\"ok\"}\n" {
		t.Errorf("livez: %d %s", code, body)
	}
	for _, where := range []string{addr, metrics} {
		if code, body := get(t, "http://"+where+"/metrics"); code != 200 || !strings.Contains(body, `tenzro_http_requests_total{class="2xx",route="GET /livez"} 1`) {
			t.Errorf("metrics at %s: %d %s", where, code, body)
		}
	}
	if code, _ := get(t, "http://"+metrics+"/tasks"); code != 404 {
		t.Errorf("the metrics listener serves more than metrics: %d", code)
	}
	if err := stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("still listening after Serve returned")
	}
}

// TestBusyPort: one clear error, and nothing stays bound.
func TestBusyPort(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	_ = free.Close()
	s := newServer(t, newNetwork(), func(c *api.Config, _ *api.Deps) { c.Addr, c.MetricsAddr = addr, busy.Addr().String() })
	err = s.Listen()
	var e *core.Error
	if !errors.As(err, &e) || e.Kind != core.Conflict || e.Hint == "" || !strings.Contains(err.Error(), busy.Addr().String()) {
		t.Errorf("error %v", err)
	}
	again, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("the API's address stays bound: %v", err)
	}
	_ = again.Close()
	if err := s.Serve(t.Context()); err == nil {
		t.Error("Serve without Listen succeeds")
	}
}

// TestDrain: when the node stops, streams and sockets are told, waiting
// requests end, and Serve returns soon.
func TestDrain(t *testing.T) {
	n := newNetwork()
	n.waits, n.began = true, make(chan struct{}, 1)
	addr, _, stop := start(t, n, nil)
	p := dial(t, "http://"+addr)
	p.send(`{"type":"ping"}`)
	p.wants(`{"type":"pong"}`)
	sse, err := http.Get("http://" + addr + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer sse.Body.Close()
	poll := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + addr + "/tasks/abc/result?wait=60s")
		if err != nil {
			poll <- err.Error()
			return
		}
		defer resp.Body.Close()
		poll <- fmt.Sprint(resp.StatusCode)
	}()
	<-n.began
	closed := make(chan websocket.StatusCode, 1)
	go func() { closed <- p.closed() }()
	begun := time.Now()
	if err := stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if got := <-poll; got != "503" {
		t.Errorf("the waiting request got %s", got)
	}
	if code := <-closed; code != websocket.StatusGoingAway {
		t.Errorf("the socket was closed with %v", code)
	}
	if b, err := io.ReadAll(sse.Body); err != nil || !strings.HasSuffix(string(b), "event: shutdown\ndata: {}\n\n") {
		t.Errorf("the stream ended with %q, error %v", b, err)
	}
}

// TestConnectionLimit: more connections than allowed wait until one closes.
func TestConnectionLimit(t *testing.T) {
	addr, _, _ := start(t, newNetwork(), func(c *api.Config, _ *api.Deps) { c.Limits.Connections = 1 })
	first, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(first, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		resp, err := http.Get("http://" + addr + "/livez")
		if err != nil {
			answered <- 0
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}()
	select {
	case code := <-answered:
		t.Errorf("a second connection was served beside the first: %d", code)
	case <-time.After(50 * time.Millisecond):
	}
	_ = first.Close()
	if code := <-answered; code != 200 {
		t.Errorf("after the first closed: %d", code)
	}
}

// TestRawRequests: what only a socket can send.
func TestRawRequests(t *testing.T) {
	addr, _, _ := start(t, newNetwork(), nil)
	tests := []struct {
		name, request string
		status        string
	}{
		{"options for everything", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "404"},
		{"no host in HTTP/1.0", "GET /livez HTTP/1.0\r\n\r\n", "403"},
		{"headers too large", "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", "431"},
		{"body beyond the limit, announced", "POST /aggregate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n", "413"},
		{"body shorter than announced", "POST /aggregate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70\r\n\r\n{", "400"},
		{"two lengths", "POST /aggregate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{", "400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, tt.request); err != nil {
				t.Fatal(err)
			}
			_ = c.(*net.TCPConn).CloseWrite()
			got := make([]byte, 12)
			if _, err := io.ReadFull(c, got); err != nil || string(got[9:]) != tt.status {
				t.Errorf("%q, error %v", got, err)
			}
		})
	}
}

// TestNewWantsItsParts: a server that could only fail later is not built.
func TestNewWantsItsParts(t *testing.T) {
	breaks := map[string]func(*api.Deps){
		"Tasks": func(d *api.Deps) { d.Tasks = nil }, "Global": func(d *api.Deps) { d.Global = nil },
		"Regional": func(d *api.Deps) { d.Regional = nil }, "Local": func(d *api.Deps) { d.Local = nil },
		"Node": func(d *api.Deps) { d.Node = nil }, "Roles": func(d *api.Deps) { d.Roles = nil },
		"Events": func(d *api.Deps) { d.Events = nil }, "Objects": func(d *api.Deps) { d.Objects = nil }, "Highest": func(d *api.Deps) { d.Highest = nil },
	}
	for name, remove := range breaks {
		d := newNetwork().deps()
		remove(&d)
		if _, err := api.New(api.Config{Addr: "127.0.0.1:0"}, d, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	d := newNetwork().deps()
	d.Registerer = prometheus.NewRegistry()
	for _, want := range []bool{true, false} { // the same metrics twice in one registry
		if _, err := api.New(api.Config{Addr: "127.0.0.1:0"}, d, zerolog.Nop()); (err == nil) != want {
			t.Errorf("registering: %v", err)
		}
	}
}
