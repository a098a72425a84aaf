package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenzro/tenzro/api"
)

// BenchmarkTask is the API's own share of one documented task: POST /tasks and
// GET its result, with a network that answers at once. "handler" leaves the
// sockets out, "loopback" is a client on a kept connection, client included.
// cpu-us/op survives a busy machine, ns/op does not.
func BenchmarkTask(b *testing.B) {
	fast := func(c *api.Config, _ *api.Deps) { c.Limits.LoopbackRate = 1e9 }
	b.Run("handler", func(b *testing.B) {
		s := newServer(b, &network{result: newNetwork().result, task: newNetwork().task, top: 3, active: newNetwork().active}, fast)
		b.ReportAllocs()
		defer reportCPU(b)()
		for b.Loop() {
			if w := play(s, "POST", "/tasks", sample); w.Code != 202 {
				b.Fatal(w.Code)
			}
			if w := play(s, "GET", "/tasks/abc123/result", ""); w.Code != 200 {
				b.Fatal(w.Code)
			}
		}
	})
	b.Run("loopback", func(b *testing.B) {
		web := httptest.NewServer(newServer(b, newNetwork(), fast))
		defer web.Close()
		client := web.Client()
		b.ReportAllocs()
		defer reportCPU(b)()
		for b.Loop() {
			round(b, client, "POST", web.URL+"/tasks", sample)
			round(b, client, "GET", web.URL+"/tasks/abc123/result", "")
		}
	})
}

// reportCPU reports the processor time between its two calls.
func reportCPU(b *testing.B) func() {
	cpu := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	begun := cpu()
	return func() { b.ReportMetric(float64((cpu()-begun).Nanoseconds())/1e3/float64(b.N), "cpu-us/op") }
}

func play(h http.Handler, method, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host, r.RemoteAddr = "127.0.0.1:8080", "127.0.0.1:4000"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func round(b *testing.B, c *http.Client, method, url, body string) {
	b.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode >= 300 {
		b.Fatal(resp.Status)
	}
}
