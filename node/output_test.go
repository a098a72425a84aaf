package node

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
	"github.com/tenzro/tenzro/core"
)

// talker is a program that writes to both of its outputs and then computes for
// years.
const talker = `(module
	(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
	(memory (export "memory") 1)
	(data (i32.const 0) "\10\00\00\00\06\00\00\00\16\00\00\00\06\00\00\00hello\nworld\n")
	(func (export "_start")
		(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))
		(drop (call $write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 100)))
		(loop (br 0))))`

func talking(t *testing.T) core.TaskSpec {
	t.Helper()
	code := base64.StdEncoding.EncodeToString(wasmtest.Module(t, talker))
	return core.TaskSpec{Type: wasm.Type, Data: json.RawMessage(fmt.Sprintf(`{"module":%q,"limits":{"fuel":%d}}`, code, int64(wasm.MaxFuel)))}
}

// listening is a stream of output over HTTP.
type listening struct {
	t     *testing.T
	lines *bufio.Scanner
	id    string // of the last event that had one
}

// listen asks a node's API for what a task writes.
func listen(t *testing.T, n *Node, id core.TaskID, after string) *listening {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.Status().HTTP+"/api/v1/tasks/"+string(id)+"/output", nil)
	if err != nil {
		t.Fatal(err)
	}
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	client := &http.Client{Transport: &http.Transport{}}
	resp, err := client.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%+v, %v", resp, err)
	}
	t.Cleanup(func() { _ = resp.Body.Close(); client.CloseIdleConnections() })
	return &listening{t: t, lines: bufio.NewScanner(resp.Body)}
}

// next returns the next event.
func (l *listening) next() (e core.OutputEvent) {
	l.t.Helper()
	for l.lines.Scan() {
		switch field, value, _ := strings.Cut(l.lines.Text(), ": "); field {
		case "id":
			l.id = value
		case "event":
			e.Event = core.OutputEventName(value)
		case "data":
			if err := json.Unmarshal([]byte(value), &e); err != nil {
				l.t.Fatal(err)
			}
		case "":
			if e.Event != "" {
				return e
			}
		}
	}
	l.t.Fatalf("the stream ended: %v", l.lines.Err())
	return e
}

// both hears until both streams have said all they have to say.
func (l *listening) both() {
	l.t.Helper()
	text := map[core.Stream]string{}
	for text[core.Stdout] != "hello\n" || text[core.Stderr] != "world\n" {
		e := l.next()
		if text[e.Stream] += string(e.Data); e.Event != core.OutputTask && (e.Event != core.OutputData || *e.Subtask != 0 || e.Attempt != 1) {
			l.t.Fatalf("%+v", e)
		}
	}
}

// TestOutputReachesTheSubmitter: what a program writes on a node of role aggregator
// comes, through the region's coordinator and the gateway, to its submitter while it
// runs: this one would run for years. A second gateway goes on where the first was
// left, and the end is told to all.
//
// spec 1.9
func TestOutputReachesTheSubmitter(t *testing.T) {
	t.Parallel()
	n, worker, _ := pair(t, []string{"regional", "global"}, []string{"aggregator"})
	c := config(t, "global")
	c.P2P.Bootstrap = []string{bootstrapAddr(n.host.Addrs())}
	gateway, _ := run(t, c)
	await(t, "the worker's link", func() error {
		if !n.region.Attached(worker.ID()) {
			return errors.New("not linked")
		}
		return nil
	})
	await(t, "the gateway to know the region", func() error {
		if s, err := gateway.globalView().NetworkState(t.Context()); err != nil || len(s.Regions) != 1 {
			return fmt.Errorf("regions %+v, %v", s.Regions, err)
		}
		return nil
	})
	g := gatewayTasks{gateway.coordinator, gateway}
	s, err := g.Submit(t.Context(), talking(t), "")
	if err != nil {
		t.Fatal(err)
	}
	first := listen(t, gateway, s.TaskID, "")
	first.both()
	later := listen(t, n, s.TaskID, "") // nothing is lost to who comes late
	later.both()
	resumed := listen(t, n, s.TaskID, first.id)
	if _, err := g.Cancel(t.Context(), s.TaskID); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*listening{"first": first, "later": later, "resumed": resumed} {
		for e := l.next(); e.Event != core.OutputEnd || e.Status != core.TaskCancelled; e = l.next() {
			if e.Event != core.OutputTask {
				t.Errorf("%s: %+v before the end", name, e)
			}
		}
		if l.id != "end" {
			t.Errorf("%s: the last id is %q", name, l.id)
		}
	}
}
