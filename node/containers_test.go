package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/compute/container/docker"
	"github.com/tenzro/tenzro/compute/container/docker/dockertest"
	"github.com/tenzro/tenzro/core"
)

var upperImage = "sha256:" + strings.Repeat("ab", 32)

// upper is an engine with one image, of a program that writes what it reads in capitals.
func upper(t *testing.T) *dockertest.Engine {
	e := dockertest.New(t)
	e.Add(docker.Image{ID: upperImage, OS: "linux", Arch: "amd64"})
	e.Program = func(_ context.Context, p dockertest.Process) dockertest.Exit {
		text, _ := io.ReadAll(p.Stdin)
		_, _ = io.WriteString(p.Stdout, strings.ToUpper(string(text)))
		return dockertest.Exit{}
	}
	return e
}

// containerNode is a lone node that runs containers of an engine, and its API.
func containerNode(t *testing.T, e *dockertest.Engine) (*Node, string) {
	t.Helper()
	images, err := container.ParseImages([]string{upperImage})
	if err != nil {
		t.Fatal(err)
	}
	c := config(t, "global", "regional", "local")
	c.Compute.Containers = ContainersConfig{On: true, Socket: e.Socket, Images: images}
	n, _ := run(t, c)
	var at Runtime
	text, err := os.ReadFile(n.path(RuntimeFile))
	if err == nil {
		err = json.Unmarshal(text, &at)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n, "http://" + at.HTTP
}

// able waits until the node's own region knows whether it runs the image.
func able(t *testing.T, n *Node, want bool) {
	t.Helper()
	await(t, fmt.Sprint("containers: ", want), func() error {
		req := core.Requirements{Runtime: container.Ref{Digest: upperImage}.Runtime()}
		if _, capable := n.ownWorkers(req, container.Type); capable != want {
			return fmt.Errorf("the region has it that the node runs containers: %v", capable)
		}
		return nil
	})
}

// TestContainersOverHTTP: a container gets its input and gives its output under a proof,
// as a task and as the items of a map, and is withdrawn with its engine.
func TestContainersOverHTTP(t *testing.T) {
	t.Parallel()
	e := upper(t)
	n, api := containerNode(t, e)
	able(t, n, true)
	r := completed(t, api, `{"type":"container","data":{"image":"`+upperImage+`","stdin":"aGVsbG8="},"limits":{"memoryMB":64}}`)
	if string(r.Result) != `{"stdout":"SEVMTE8=","stderr":"","exitCode":0}` || r.Proofs[0].OperationType != "container" {
		t.Errorf("%s, %+v", r.Result, r.Proofs[0])
	}
	r = completed(t, api, `{"type":"map","parallelism":2,"data":{"task":{"type":"container","data":{"image":"`+upperImage+`","stdin":{"$item":true},"limits":{"timeoutMs":5000}}},`+
		`"over":{"lines":"one\ntwo\n","base64":true},"combine":"concat"}}`)
	if string(r.Result) != `"T05FVFdP"` { // ONETWO
		t.Errorf("a map gave %s", r.Result)
	}
	if lacks, left := e.Complaints(), e.Left(); len(lacks)+len(left) > 0 {
		t.Errorf("refused: %v; left behind: %v", lacks, left)
	}
	e.Drop(upperImage)
	submit(t, api, `{"type":"container","queueTimeoutMs":100,"data":{"image":"`+upperImage+`"}}`) // finds that out
	able(t, n, false)
}

// TestNobodyRunsContainers: where no node has them switched on, or none has the image, a
// task says so when its queue time is over; a bad one is refused where it comes in.
func TestNobodyRunsContainers(t *testing.T) {
	t.Parallel()
	_, off := gatewayOf(t)
	n, on := containerNode(t, upper(t))
	able(t, n, true)
	other := "sha256:" + strings.Repeat("cd", 32)
	for name, c := range map[string]struct{ api, task, want string }{
		"no node":       {off, `{"type":"container","queueTimeoutMs":100,"data":{"image":"` + upperImage + `"}}`, `nobody runs task type \"container\"`},
		"no image":      {on, `{"type":"container","queueTimeoutMs":100,"data":{"image":"` + other + `"}}`, `nobody that runs task type \"container\" has \"container/cdcdcdcdcdcdcdcd\"`},
		"no node's map": {off, `{"type":"map","queueTimeoutMs":100,"data":{"task":{"type":"container","data":{"image":"` + upperImage + `"}},"over":{"list":[1]}}}`, `has \"container/abababababababab\"`},
		"a bad task":    {off, `{"type":"container","data":{"image":"alpine:latest"}}`, `data.image`},
	} {
		status, body := submit(t, c.api, c.task)
		var r core.TaskResult
		_ = json.Unmarshal(body, &r)
		if status != http.StatusBadRequest && (r.Failure == nil || r.Failure.Reason != core.ReasonNoCapableWorker) || !strings.Contains(string(body), c.want) {
			t.Errorf("%s: %d %s, want %s", name, status, body, c.want)
		}
	}
}
