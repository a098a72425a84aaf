package integration

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
)

// helpers is a region of three coordinators and one worker that helps another.
type helpers struct {
	t            *testing.T
	coordinators []*testnet.Node
	worker       *testnet.Node
}

func newHelpers(t *testing.T, bootstrap string) *helpers {
	h := &helpers{t: t}
	for i := range 3 {
		h.coordinators = append(h.coordinators, testnet.Run(t, fmt.Sprint("west-", i), "--role=regional", "--region=eu-west", "--region-admit=open",
			"--speculation=-1", "--bootstrap", bootstrap))
	}
	h.worker = testnet.Run(t, "west-worker", "--role=local", "--region=eu-west", "--slots=1", "--bootstrap", bootstrap)
	for _, c := range h.coordinators {
		testnet.Await(t, "three voters", patience, func() error {
			if s := h.status(c); s.voters() != 3 || s.Leader == "" {
				return fmt.Errorf("%s sees %+v", c.Name, s)
			}
			return nil
		})
		c.AwaitWorkers(h.worker)
	}
	return h
}

// group is what a coordinator says of its region.
type group struct {
	Leader  core.NodeID
	Members []struct {
		ID    core.NodeID
		State string
	}
}

// voters is how many of the members vote.
func (g group) voters() (n int) {
	for _, m := range g.Members {
		if m.State == "voter" {
			n++
		}
	}
	return n
}

func (h *helpers) status(c *testnet.Node) (s group) {
	h.t.Helper()
	if err := c.Get("/api/v1/region").Decode(&s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// leader is whom the first of those that run takes for the leader.
func (h *helpers) leader() (led *testnet.Node) {
	h.t.Helper()
	testnet.Await(h.t, "a leader in eu-west", patience, func() error {
		for _, c := range h.coordinators {
			if c.Ended() {
				continue
			}
			id := h.status(c).Leader
			if i := slices.IndexFunc(h.coordinators, func(c *testnet.Node) bool { return c.ID() == id && !c.Ended() }); i >= 0 {
				led = h.coordinators[i]
				return nil
			}
		}
		return errors.New("there is none")
	})
	return led
}

// ran is how many subtasks a worker began that have ended, well or not.
func ran(t *testing.T, n *testnet.Node) (sum float64) {
	t.Helper()
	resp, err := http.Get("http://" + n.Runtime.Metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "tenzro_operations_total{") || strings.HasPrefix(line, "tenzro_operation_failures_total{") {
			v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

// The region that helps a full one loses its leader, of three, in the middle of a
// subtask: the next leader goes on with it, and it is run once. The job's home hears
// of one attempt that went over to another node.
//
// spec 2.1 2.5 2.49
func TestHelperLosesItsLeader(t *testing.T) {
	gateway := testnet.Run(t, "gateway", "--role=global")
	bootstrap := gateway.Runtime.Bootstrap
	home := testnet.Run(t, "east", "--role=regional", "--region=us-east", "--speculation=-1", "--bootstrap", bootstrap)
	busy := testnet.Run(t, "east-worker", "--role=local", "--region=us-east", "--slots=2", "--bootstrap", bootstrap)
	west := newHelpers(t, bootstrap)
	home.AwaitWorkers(busy)
	gateway.AwaitRegions("us-east", "eu-west")
	const pieces = 3
	id, before := submitAt(t, gateway, "us-east", long(18, pieces), busy, west.worker)

	first := west.leader()
	testnet.Await(t, "eu-west to help", patience, func() error {
		if !slices.ContainsFunc(gateway.Status(id).Attempts, func(a core.Attempt) bool { return a.Worker == first.ID() }) {
			return fmt.Errorf("attempts %+v", gateway.Status(id).Attempts)
		}
		var s core.LocalStatus
		if west.worker.Get("/status").Into(&s); s.ActiveTaskCount != 1 {
			return fmt.Errorf("its worker runs %d", s.ActiveTaskCount)
		}
		return nil
	})
	first.Kill9()
	if r := gateway.Completed(id, patience); !slices.Contains(r.Workers, west.worker.ID()) || !slices.Contains(r.Regions, core.RegionID("eu-west")) {
		t.Errorf("computed by %v in %v", r.Workers, r.Regions)
	}
	next := west.leader()
	handed := map[core.NodeID]string{}
	for _, a := range gateway.Status(id).Attempts {
		if a.Attempt != 1 {
			t.Errorf("a subtask was tried again: %+v", a)
		}
		handed[a.Worker] = a.Outcome
	}
	if handed[first.ID()] != "link_lost" || handed[next.ID()] != "ok" {
		t.Errorf("the attempts are %+v; %s led first and %s next", gateway.Status(id).Attempts, first.ID(), next.ID())
	}
	if a, b := ran(t, busy)-before[0], ran(t, west.worker)-before[1]; a != pieces-1 || b != 1 {
		t.Errorf("of %d subtasks one worker ran %v and the other %v", pieces, a, b)
	}
}

// long is slow with shorter numbers: more of them fit into a request.
func long(seconds float64, pieces int) string {
	const operations, unit = 60, 180e-9 // of one sigmoid
	digit := func(b []byte, i int) []byte { return append(b, '1'+byte(i%9)) }
	return task(numbers(int(seconds/operations/unit), digit), "["+strings.Repeat(`"sigmoid",`, operations)+`"sum"]`, pieces)
}

// submitAt submits a task until the gateway makes a region its home; what has another
// one is cancelled. It also returns what the workers had run before.
func submitAt(t *testing.T, gateway *testnet.Node, region core.RegionID, spec string, workers ...*testnet.Node) (id core.TaskID, before []float64) {
	t.Helper()
	testnet.Await(t, "a task at home in "+string(region), patience, func() error {
		before = nil
		for _, w := range workers {
			var s core.LocalStatus
			if w.Get("/status").Into(&s); s.ActiveTaskCount != 0 {
				return fmt.Errorf("%s runs %d", w.Name, s.ActiveTaskCount)
			}
			before = append(before, ran(t, w))
		}
		id = gateway.Submit(spec)
		if home, _ := id.Home(); home != region {
			gateway.Post("/api/v1/tasks/"+string(id)+"/cancel", "").Is(http.StatusOK)
			return fmt.Errorf("the home is %s", home)
		}
		return nil
	})
	return id, before
}
