package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// TestMain fails the package when a goroutine is left behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector is a collector that a test plays: what it answers, and the requests it
// got. In a bubble no socket may be used.
type collector struct {
	mu     sync.Mutex
	answer func(n int) (*http.Response, error) // n counts from 1
	got    []request
	at     []time.Time
}

// RoundTrip implements http.RoundTripper.
func (c *collector) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	var m request
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got, c.at = append(c.got, m), append(c.at, time.Now())
	return c.answer(len(c.got))
}

func says(code int, body string, header ...string) (*http.Response, error) {
	r := &http.Response{StatusCode: code, Status: fmt.Sprint(code, " ", http.StatusText(code)), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r, nil
}

// spans is how many spans each request had.
func (c *collector) spans() (out []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.got {
		out = append(out, len(m.ResourceSpans[0].ScopeSpans[0].Spans))
	}
	return out
}

type rig struct {
	*Exporter
	c    *collector
	log  logbook
	stop func()
}

// logbook is a log that can be read while it is written.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// exporting runs a test with an exporter that is served, on virtual time.
func exporting(t *testing.T, answer func(n int) (*http.Response, error), test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{c: &collector{answer: answer}}
		var err error
		r.Exporter, err = New(Config{Endpoint: "http://collector:4318/v1/traces", Registerer: prometheus.NewRegistry()}, zerolog.New(&r.log))
		if err != nil {
			t.Fatal(err)
		}
		r.client.Transport = r.c
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- r.Serve(ctx) }()
		r.stop = sync.OnceFunc(func() {
			cancel()
			if err := <-served; !errors.Is(err, context.Canceled) {
				t.Errorf("served: %v", err)
			}
			if err := r.Close(); err != nil {
				t.Errorf("closed: %v", err)
			}
		})
		defer r.stop()
		test(r)
	})
}

func (r *rig) take(n int) {
	for range n {
		r.Take(sample(0))
	}
	synctest.Wait()
}

func (r *rig) lost(cause string) float64 {
	return testutil.ToFloat64(r.metrics.dropped.WithLabelValues(cause))
}

func (r *rig) exported() float64 { return testutil.ToFloat64(r.metrics.exported) }

func (r *rig) warnings() int {
	synctest.Wait()
	return strings.Count(r.log.String(), `"level":"warn"`)
}

func fine(int) (*http.Response, error) { return says(200, `{"partialSuccess":{}}`) }

func sample(parent byte) trace.Span {
	c := trace.Context{Trace: [16]byte{1, 2, 3}, Parent: [8]byte{parent}, Flags: 1}
	at := time.Date(2026, 11, 20, 9, 0, 0, 123456000, time.UTC)
	two := 2
	return trace.Span{Context: c, ID: [8]byte{4, 5}, Task: "us-east-1", Span: core.Span{Name: "lease", At: core.AtRegion, Node: "12D3",
		Start: at, TookUS: 1500, Subtask: &two, Attempt: 1, Note: "lease_expired"}}
}

// TestMessage: the bytes of a request are those of the golden file, which a
// collector of OpenTelemetry decodes.
func TestMessage(t *testing.T) {
	whole := sample(0)
	whole.Name, whole.Subtask, whole.Attempt, whole.Note = "task", nil, 0, "completed"
	cfg := Config{Node: "12D3", Network: "testnet", Version: "0.1.0"}
	got, err := json.MarshalIndent(cfg.request([]trace.Span{whole, sample(9)}), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const file = "testdata/request.json"
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %s\nwant %s (%v)", got, want, err)
	}
}

// TestBatches: spans wait a second for company and go in requests of at most 512.
func TestBatches(t *testing.T) {
	exporting(t, fine, func(r *rig) {
		r.take(3)
		if n := r.c.spans(); len(n) != 0 {
			t.Errorf("sent %v at once", n)
		}
		time.Sleep(gather)
		synctest.Wait()
		r.take(maxBatch + 10)
		time.Sleep(gather)
		synctest.Wait()
		if n := fmt.Sprint(r.c.spans()); n != "[3 512 10]" || r.exported() != maxBatch+13 || r.warnings() != 0 {
			t.Errorf("sent %v; %v exported; log %s", n, r.exported(), r.log.String())
		}
	})
}

// TestDeadCollector: a collector that is away costs nobody anything: who traces
// never waits, what has no room is counted, one line a minute tells. It is asked
// ever more seldom, and what is there when it is back arrives.
func TestDeadCollector(t *testing.T) {
	var back atomic.Bool
	away := func(n int) (*http.Response, error) {
		if back.Load() {
			return fine(n)
		}
		return nil, errors.New("connection refused")
	}
	exporting(t, away, func(r *rig) {
		for range 3 * maxQueue {
			r.Take(sample(0)) // returns at once, or the bubble would stand still
		}
		synctest.Wait()
		if kept := 3*maxQueue - int(r.lost("queue")); kept < maxQueue || kept > maxQueue+maxBatch {
			t.Errorf("%d spans kept", kept)
		}
		time.Sleep(59 * time.Second)
		if n := r.warnings(); n != 1 {
			t.Errorf("%d warnings within a minute", n)
		}
		time.Sleep(2 * time.Minute)
		if n := r.warnings(); n < 2 || n > 4 {
			t.Errorf("%d warnings after three minutes", n)
		}
		if n := len(r.c.spans()); n > 60 {
			t.Errorf("%d requests in three minutes", n)
		}
		if r.lost("collector") == 0 {
			t.Error("no batch was given up")
		}
		back.Store(true)
		time.Sleep(2 * retryMost)
		synctest.Wait()
		if sum := r.exported() + r.lost("collector") + r.lost("queue"); sum != 3*maxQueue || r.exported() == 0 {
			t.Errorf("%v exported and %v accounted for of %d", r.exported(), sum, 3*maxQueue)
		}
	})
}

// TestRefusals: what may succeed later is sent again, when the collector wants;
// what it does not understand is dropped; what it took in part is counted.
func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		first          func() (*http.Response, error)
		requests       int
		lost, exported float64
		pause          time.Duration
	}{
		"busy":              {func() (*http.Response, error) { return says(503, "") }, 2, 0, 4, retryFirst},
		"told when":         {func() (*http.Response, error) { return says(429, "", "Retry-After", "7") }, 2, 0, 4, 7 * time.Second},
		"told an age":       {func() (*http.Response, error) { return says(429, "", "Retry-After", "100000") }, 2, 0, 4, retryMost},
		"not understood":    {func() (*http.Response, error) { return says(400, "no") }, 1, 4, 0, 0},
		"sent elsewhere":    {func() (*http.Response, error) { return says(302, "", "Location", "http://evil/") }, 1, 4, 0, 0},
		"partly":            {func() (*http.Response, error) { return says(200, `{"partialSuccess":{"rejectedSpans":"3"}}`) }, 1, 3, 1, 0},
		"partly, a number":  {func() (*http.Response, error) { return says(200, `{"partialSuccess":{"rejectedSpans":3}}`) }, 1, 3, 1, 0},
		"more than it got":  {func() (*http.Response, error) { return says(200, `{"partialSuccess":{"rejectedSpans":"99"}}`) }, 1, 4, 0, 0},
		"nonsense":          {func() (*http.Response, error) { return says(200, `<html>`) }, 1, 0, 4, 0},
		"an endless answer": {func() (*http.Response, error) { return says(200, strings.Repeat(" ", 1<<20)) }, 1, 0, 4, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			answer := func(n int) (*http.Response, error) {
				if n == 1 {
					return tt.first()
				}
				return fine(n)
			}
			exporting(t, answer, func(r *rig) {
				r.take(4)
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if len(r.c.at) != tt.requests || r.lost("collector") != tt.lost || r.exported() != tt.exported {
					t.Fatalf("%d requests, %v lost, %v exported", len(r.c.at), r.lost("collector"), r.exported())
				}
				if tt.requests > 1 && r.c.at[1].Sub(r.c.at[0]) != tt.pause {
					t.Errorf("sent again after %s", r.c.at[1].Sub(r.c.at[0]))
				}
			})
		})
	}
}

// TestStop: what waits when the node stops is sent; where no collector is there,
// what is left is counted.
func TestStop(t *testing.T) {
	exporting(t, fine, func(r *rig) {
		r.take(maxBatch / 2)
		r.stop()
		if r.exported() != maxBatch/2 {
			t.Errorf("%v exported", r.exported())
		}
	})
	refusing := func(int) (*http.Response, error) { return nil, errors.New("connection refused") }
	exporting(t, refusing, func(r *rig) {
		r.take(10 + maxBatch)
		time.Sleep(gather)
		r.stop()
		if sum := r.lost("stop"); sum != 10+maxBatch || r.warnings() != 1 {
			t.Errorf("%v counted, log %s", sum, r.log.String())
		}
	})
}

// TestEndpoint: the addresses that are taken, and those that are refused.
func TestEndpoint(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "http://127.0.0.1:4318": "http://127.0.0.1:4318/v1/traces", "https://otel.example/": "https://otel.example/v1/traces",
		"https://otel.example/tenant/v1/traces": "https://otel.example/tenant/v1/traces", "http://h/a": "http://h/a/v1/traces",
		"127.0.0.1:4318": "!", "grpc://h:4317": "!", "http://": "!", "http://ann:secret@h": "!", "http://h/#x": "!", "http://[::1": "!",
	} {
		got, err := Endpoint(in)
		var e *core.Error
		switch {
		case want != "!" && (err != nil || got != want):
			t.Errorf("%q: %q, %v", in, got, err)
		case want == "!" && (!errors.As(err, &e) || e.Kind != core.Invalid || e.Hint == "" || strings.Contains(err.Error(), "secret")):
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}
