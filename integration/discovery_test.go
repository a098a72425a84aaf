package integration

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
)

// lanPort returns a UDP port that nobody uses now.
func lanPort(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return strconv.Itoa(c.LocalAddr().(*net.UDPAddr).Port)
}

// peers returns the ids of a node's peers.
func peers(n *testnet.Node) (ids []core.NodeID) {
	var list struct {
		Peers []struct{ ID core.NodeID }
	}
	n.Get("/api/v1/peers").Into(&list)
	for _, p := range list.Peers {
		ids = append(ids, p.ID)
	}
	return ids
}

// Two nodes that were told nothing find each other through UDP on loopback, and
// one computes for the other: it is all the network there is. A third one on
// another port stays alone.
//
// spec 2.68 4.12 4.15 4.16 4.18 4.68
func TestLAN(t *testing.T) {
	port := lanPort(t)
	a := testnet.Run(t, "regional", "--role=regional", "--region", "here", "--lan-port", port)
	b := testnet.Run(t, "local", "--role=local", "--lan-port", port)
	stranger := testnet.Run(t, "stranger", "--role=local", "--lan-port", lanPort(t))
	for _, pair := range [][2]*testnet.Node{{a, b}, {b, a}} {
		took := testnet.Await(t, pair[0].Name+" to find the other", patience, func() error {
			if ids := peers(pair[0]); !slices.Contains(ids, pair[1].ID()) {
				return fmt.Errorf("its peers are %v", ids)
			}
			return nil
		})
		t.Logf("%s found the other after %s", pair[0].Name, took.Round(time.Millisecond))
	}
	a.AwaitWorkers(b)
	if r := a.Completed(a.Submit(documentedTask), patience); string(r.Result) != "55" || !slices.Equal(r.Workers, []core.NodeID{b.ID()}) {
		t.Errorf("the result is %s, computed by %v", r.Result, r.Workers)
	}
	if ids := peers(stranger); len(ids) != 0 {
		t.Errorf("the node on another port has peers %v", ids)
	}
}

// joinLimit is the documented time in which a new worker finds its region.
const joinLimit = 5 * time.Second

// A new worker that knows only the gateway's address finds its region through
// the DHT in less than five seconds; when the gateway, everybody's bootstrap
// node, is killed, the others go on as before: the region, its workers and a
// region that has none compute, and a node that restarts finds them again.
//
// spec 2.1 2.4 2.5 2.13 2.14 2.43 2.68
func TestJoinAndLoseTheBootstrapNode(t *testing.T) {
	n := testnet.Three(t, 1)
	elsewhere := testnet.Run(t, "elsewhere", "--role=regional", "--region", "eu-west", "--bootstrap", n.Global.Runtime.Bootstrap)
	n.Global.AwaitRegions("eu-west", "us-east")

	start := time.Now()
	late := testnet.Run(t, "late", "--role=local", "--region", "us-east", "--bootstrap", n.Global.Runtime.Bootstrap)
	n.Regional.AwaitWorkers(late)
	took := time.Since(start)
	t.Logf("the new worker was in its region %s after its process was started", took.Round(time.Millisecond))
	if took > joinLimit {
		t.Errorf("the new worker needed %s; the limit is %s", took, joinLimit)
	}

	n.Global.Kill9()
	for range 3 {
		a := n.Regional.Post("/api/v1/tasks?wait=30s", documentedTask).Is(http.StatusOK)
		var r core.TaskResult
		a.Into(&r)
		if string(r.Result) != "55" {
			t.Errorf("the result is %s", a.Body)
		}
	}
	for _, gateway := range []*testnet.Node{n.Locals[0], late, elsewhere} {
		gateway.AwaitReady()
		if r := gateway.Completed(gateway.Submit(documentedTask), patience); string(r.Result) != "55" {
			t.Errorf("the task of %s gives %s", gateway.Name, r.Result)
		}
	}

	n.Locals[0].Term()
	if code := n.Locals[0].Exit(patience); code != 0 {
		t.Errorf("the worker ended with code %d", code)
	}
	again := testnet.Launch(t, "again", n.Locals[0].Home, "--role=local", "--region", "us-east", "--bootstrap", n.Global.Runtime.Bootstrap)
	again.AwaitServing()
	t.Logf("a worker that restarted was back %s after it served", n.Regional.AwaitWorkers(again).Round(time.Millisecond))
	if again.ID() != n.Locals[0].ID() {
		t.Error("the restarted worker has another identity")
	}
}
