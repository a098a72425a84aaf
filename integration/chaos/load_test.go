package chaos

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/history"
)

// gatewayOf is a node whose API is a handler of the test.
func gatewayOf(t *testing.T, name string, handler http.HandlerFunc) *Node {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{Name: name, Kind: Gateway, place: place{ip: host}, client: server.Client(), life: 1}
	n.place.http, err = strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// honest answers as a gateway where every job completes at once with what its
// last operation adds to 55.
type honest struct {
	mu   sync.Mutex
	keys []string // in the order of the submissions
	gate chan struct{}
}

func (h *honest) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		h.mu.Lock()
		h.keys = append(h.keys, r.Header.Get("Idempotency-Key"))
		h.mu.Unlock()
		if h.gate != nil {
			<-h.gate
		}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, `{"taskId":"here-%s","status":"pending"}`, r.Header.Get("Idempotency-Key"))
		return
	}
	id := strings.Split(r.URL.Path, "/")[4]
	number := id[strings.LastIndex(id, "-")+1:]
	n, _ := strconv.Atoi(number)
	if strings.HasSuffix(r.URL.Path, "/result") {
		_ = json.NewEncoder(w).Encode(core.TaskResult{TaskID: core.TaskID(id), Status: core.TaskCompleted, Result: json.RawMessage(strconv.Itoa(55 + n))})
		return
	}
	_ = json.NewEncoder(w).Encode(core.TaskStatus{TaskID: core.TaskID(id), Status: core.TaskCompleted, Attempts: []core.Attempt{{Attempt: 1, Outcome: "ok"}}})
}

func (h *honest) seen() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.keys)
}

func load(t *testing.T, l Load, gateways ...*Node) (*loader, *history.Log) {
	t.Helper()
	log := history.NewLog(time.Now())
	loader, err := newLoader(log, gateways, l)
	if err != nil {
		t.Fatal(err)
	}
	return loader, log
}

// Jobs come at their rate while the gateway answers nobody, and the time they
// wait counts from when they were due: a network that stands still does not slow
// its clients down and hide that.
func TestOpenLoop(t *testing.T) {
	const jobs, rate = 20, 100
	h := &honest{gate: make(chan struct{})}
	l, log := load(t, Load{Rate: rate, Jobs: jobs, Timeout: time.Minute}, gatewayOf(t, "gateway-1", h.serve))
	l.arrive(t.Context()) // returns, though no job was answered
	if n := l.taken.Load(); n != 0 {
		t.Errorf("%d jobs were acknowledged behind a closed gate", n)
	}
	close(h.gate)
	l.running.Wait()
	v := history.Judge(log.Events(), time.Hour)
	if lines := v.Broken(history.Terms{Completed: 1}); len(lines) > 0 || v.Completed != jobs {
		t.Fatalf("%d completed, %q", v.Completed, lines)
	}
	if least := (jobs - 1) * time.Second / rate; v.Ack.Max < least {
		t.Errorf("the first job waited %s for its acknowledgement, the last was due %s after it", v.Ack.Max, least)
	}
	var due []time.Duration
	for _, e := range log.Events() {
		if e.Kind == history.Sent {
			due = append(due, e.At)
		}
	}
	for i := range due {
		if gap := due[i] - due[0] - time.Duration(i)*time.Second/rate; gap.Abs() > time.Microsecond {
			t.Errorf("job %d was due %s off its time", i, gap)
		}
	}
}

// A job that one gateway does not take goes to the next with the same key; one
// that is wrong goes nowhere.
func TestHandIn(t *testing.T) {
	good := &honest{}
	busy := gatewayOf(t, "busy", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"code":"unavailable","detail":"not now"}`)
	})
	broken := gatewayOf(t, "broken", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	l, log := load(t, Load{Timeout: time.Minute}, busy, broken, gatewayOf(t, "good", good.serve))
	<-l.burst(t.Context(), 1)[0].Done
	if keys := good.seen(); !slices.Equal(keys, []string{"job-0"}) {
		t.Errorf("the good gateway saw keys %v", keys)
	}
	if v := history.Judge(log.Events(), time.Hour); v.Completed != 1 || len(v.Broken(history.Terms{})) > 0 {
		t.Errorf("%+v", v)
	}

	strict := gatewayOf(t, "strict", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"code":"exists","detail":"another body"}`)
	})
	l, log = load(t, Load{Timeout: time.Minute}, strict)
	j := l.burst(t.Context(), 1)[0]
	<-j.Done
	if v := history.Judge(log.Events(), time.Hour); v.Refused != 1 || v.Acknowledged != 0 || j.Task != "" {
		t.Errorf("%+v", v)
	}
}

// A gateway that lies is found out by what the clients write down.
func TestLiars(t *testing.T) {
	for name, tc := range map[string]struct {
		lie    func(h *honest, w http.ResponseWriter, r *http.Request)
		broken string
	}{
		"another job's result": {func(h *honest, w http.ResponseWriter, r *http.Request) {
			r.URL.Path = strings.Replace(r.URL.Path, "-0", "-1", 1)
			h.serve(w, r)
		}, "two ids"},
		"a wrong result": {func(h *honest, w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/result") {
				fmt.Fprint(w, `{"taskId":"here-job-0","status":"completed","result":54}`)
				return
			}
			h.serve(w, r)
		}, "wrong result"},
		"no reason": {func(h *honest, w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/result") {
				fmt.Fprint(w, `{"taskId":"here-job-0","status":"failed"}`)
				return
			}
			h.serve(w, r)
		}, "without a reason"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &honest{}
			g := gatewayOf(t, "liar", func(w http.ResponseWriter, r *http.Request) { tc.lie(h, w, r) })
			l, log := load(t, Load{Timeout: time.Minute}, g)
			<-l.burst(t.Context(), 1)[0].Done
			lines := history.Judge(log.Events(), time.Hour).Broken(history.Terms{})
			if len(lines) == 0 || !strings.Contains(strings.Join(lines, "; "), tc.broken) {
				t.Errorf("found %q, not %q", lines, tc.broken)
			}
		})
	}
}

// What was acknowledged is asked for again everywhere: a gateway that tells
// another end, and one that gives a repeated key another id, are found out.
func TestSweep(t *testing.T) {
	h := &honest{}
	first := gatewayOf(t, "first", h.serve)
	other := gatewayOf(t, "other", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"taskId":"there-job-0"}`)
		default:
			fmt.Fprint(w, `{"taskId":"here-job-0","status":"failed","failure":{"reason":"deadline"}}`)
		}
	})
	l, log := load(t, Load{Timeout: time.Minute}, first)
	j := l.burst(t.Context(), 1)[0]
	<-j.Done
	if lines := history.Judge(log.Events(), time.Hour).Broken(history.Terms{}); len(lines) > 0 {
		t.Fatalf("before the sweep: %q", lines)
	}
	a := &Arena{log: log, loader: l, Net: &Network{Nodes: []*Node{first, other}}}
	a.again(t.Context(), other, j)
	a.repeat(t.Context(), other, j)
	v := history.Judge(log.Events(), time.Hour)
	if v.Duplicated.Count != 2 {
		t.Errorf("found %+v, not two ids and two ends", v.Duplicated)
	}
}
