package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
)

// exported is a span as a collector gets it.
type exported struct {
	TraceID, SpanID, ParentSpanID, Name string
	Attributes                          []struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
	Status struct{ Code int }
	node   string // service.instance.id of the request
}

func (s exported) attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.StringValue + a.Value.IntValue
		}
	}
	return ""
}

// collector is a collector of OpenTelemetry's, as far as it can be told from
// outside: it takes POSTs of JSON and remembers the spans.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []exported
	wrong []string
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m struct {
		ResourceSpans []struct {
			Resource   exported
			ScopeSpans []struct{ Spans []exported }
		}
	}
	err := json.NewDecoder(r.Body).Decode(&m)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
		c.wrong = append(c.wrong, fmt.Sprint(r.Method, r.URL, r.Header, err))
	}
	for _, rs := range m.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				s.node = rs.Resource.attribute("service.instance.id")
				c.spans = append(c.spans, s)
			}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{}"))
}

// of returns the spans of a task with a name.
func (c *collector) of(task core.TaskID, name string) (out []exported) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if s.attribute("tenzro.task") == string(task) && s.Name == name {
			out = append(out, s)
		}
	}
	return out
}

// TestTraceLeavesTheNodes: one trace goes through gateway, region and workers, each
// node exports its own spans, and every span hangs below the one of the node that
// gave the work: the submitter's, task, job, lease, subtask, execute. Nodes that
// stop send what they have; a task that its submitter does not want traced is not.
//
// spec 2.34
func TestTraceLeavesTheNodes(t *testing.T) {
	t.Parallel()
	sink := newCollector(t)
	c := config(t, "regional")
	c.Region, c.Trace.Endpoint = east, sink.URL
	region, stopRegion := run(t, c)
	bootstrap := []string{bootstrapAddr(region.host.Addrs())}
	c = config(t, "global")
	c.P2P.Bootstrap, c.Trace.Endpoint = bootstrap, sink.URL
	gateway, stopGateway := run(t, c)
	c = config(t, "inference")
	c.P2P.Bootstrap, c.Trace.Endpoint = bootstrap, sink.URL
	worker, stopWorker := run(t, c)
	await(t, "the links", func() error {
		if !region.region.Attached(worker.ID()) || !gateway.gateway.Attached(region.ID()) {
			return errors.New("not linked")
		}
		return nil
	})
	id := traced(t, gateway, "01")
	silent := traced(t, gateway, "00")
	stopGateway()
	stopWorker()
	stopRegion()
	if len(sink.wrong) > 0 {
		t.Errorf("requests %v", sink.wrong)
	}
	sink.hangs(t, id, "task", gateway, 1, submitters)
	for name, above := range map[string]string{"intake": "task", "job": "task", "commit": "job", "plan": "job", "merge": "job",
		"lease": "job", "subtask": "lease", "execute": "subtask"} {
		n, by := 1, region
		switch name {
		case "intake":
			by = gateway
		case "lease":
			n = 2
		case "subtask", "execute":
			n, by = 2, worker
		}
		sink.hangs(t, id, name, by, n, above)
	}
	if n := len(sink.of(silent, "task")) + len(sink.of(silent, "job")) + len(sink.of(silent, "subtask")); n != 0 {
		t.Errorf("%d spans of a task that is not to be traced", n)
	}
}

const (
	submitters = "00f067aa0ba902b7" // the submitter's own span
	theTrace   = "4bf92f3577b34da6a3ce929d0e0e4736"
)

// traced computes a task of two subtasks under the submitter's trace.
func traced(t *testing.T, n *Node, flags string) core.TaskID {
	t.Helper()
	spec := sample()
	spec.Parallelism = 2
	g := gatewayTasks{n.coordinator, n}
	ctx := trace.With(t.Context(), "00-"+theTrace+"-"+submitters+"-"+flags)
	s, err := g.Submit(ctx, spec, "")
	if err == nil {
		var r core.TaskResult
		if r, err = g.Result(ctx, s.TaskID, patience); err == nil && string(r.Result) != "55" {
			err = fmt.Errorf("result %+v", r)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.TaskID
}

// hangs checks the n spans of a name: who exported them, and below what.
func (c *collector) hangs(t *testing.T, id core.TaskID, name string, by *Node, n int, above string) {
	t.Helper()
	parents := []string{above}
	if above != submitters {
		parents = nil
		for _, s := range c.of(id, above) {
			parents = append(parents, s.SpanID)
		}
	}
	got := c.of(id, name)
	if len(got) != n {
		t.Errorf("%d spans %s, want %d", len(got), name, n)
	}
	seen := map[string]bool{}
	for _, s := range got {
		if s.TraceID != theTrace || !slices.Contains(parents, s.ParentSpanID) || s.node != string(by.ID()) || s.Status.Code != 0 || seen[s.SpanID] {
			t.Errorf("span %+v by %s, want one below %s", s, s.node[max(0, len(s.node)-8):], strings.Join(parents, " or "))
		}
		seen[s.SpanID] = true
		parents = slices.DeleteFunc(parents, func(p string) bool { return p == s.ParentSpanID && name == "subtask" }) // one each
	}
}

// TestDeadCollectorCostsNothing: a node whose collector is not there works as any
// other and stops cleanly.
func TestDeadCollectorCostsNothing(t *testing.T) {
	t.Parallel()
	gone := newCollector(t)
	gone.Close()
	c := config(t)
	c.Trace.Endpoint = gone.URL
	n, stop := run(t, c)
	answers55(t, n)
	stop()
	c.Home, c.Trace.Endpoint = t.TempDir(), "collector:4318"
	_, err := New(c, n.log)
	wantKind(t, "an endpoint that is none", err, core.Invalid)
}
