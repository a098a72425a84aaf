//go:build docker

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// containers is how many nodes docker-compose.yml describes.
const containers = 7

// sampleTask is the documented task, whose result is 55.
const sampleTask = `{"type":"compute","requirements":{"minTier":"aggregator","cpu":80,"memoryMB":1024},` +
	`"data":{"input":[1,2,3,4,5],"operations":["square","sum"]}}`

// composed is the compose network under a name and ports of its own.
type composed struct {
	t       *testing.T
	command []string // docker-compose, or docker compose
	project string
	env     []string
	api     string
	metrics string
}

// TestContainers runs docker-compose.yml for real: the prebuilt image, seven
// containers that find each other without being told, the documented task, a
// worker that is killed, and a stop that every node answers in peace. It wants a
// Docker engine (DOCKER_HOST or the default socket) and needs no registry.
//
// spec 0.56 1.67 4.12 4.41 4.66 4.67
func TestContainers(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c := newComposed(t)
	c.buildBinary(ctx)
	t.Cleanup(c.down)
	c.compose(ctx, "up", "-d", "--build")
	c.until(ctx, 2*time.Minute, "seven healthy containers", func() error { return c.healthy(ctx) })
	c.until(ctx, time.Minute, "both regions with their workers", func() error { return c.regions(ctx) })
	c.solves(ctx)

	if user := c.docker(ctx, "inspect", "--format", "{{.Config.User}}", c.node(ctx, "global")); user != "65532:65532" {
		t.Errorf("the node runs as %q, not as an ordinary user", user)
	}
	if text := c.get(ctx, c.metrics+"/metrics"); !strings.Contains(text, "tenzro_uptime_seconds") {
		t.Errorf("the metrics port answers %.200q", text)
	}

	c.docker(ctx, "kill", c.node(ctx, "us-east-worker-1"))
	for range 4 {
		c.solves(ctx)
	}

	all := c.ids(ctx)
	c.compose(ctx, "stop", "-t", "20")
	for _, id := range all {
		state := c.docker(ctx, "inspect", "--format", `{{.Name}} {{.State.ExitCode}} {{.State.OOMKilled}}`, id)
		if !strings.HasSuffix(state, " 0 false") && !strings.Contains(state, "us-east-worker-1") {
			t.Errorf("container ended with %s; a stop must end in 0", state)
		}
	}
}

func newComposed(t *testing.T) *composed {
	t.Helper()
	command := []string{"docker", "compose"}
	if _, err := exec.LookPath("docker-compose"); err == nil {
		command = []string{"docker-compose"}
	}
	api, metrics := freePort(t), freePort(t)
	c := &composed{t: t, command: command, project: "tenzrotest" + strconv.Itoa(os.Getpid()),
		api: "http://127.0.0.1:" + api, metrics: "http://127.0.0.1:" + metrics}
	c.env = append(os.Environ(), "TESTNET_HTTP_PORT="+api, "TESTNET_METRICS_PORT="+metrics)
	return c
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// run runs a program in the repository's root and returns what it printed.
func (c *composed) run(ctx context.Context, env []string, name string, args ...string) string {
	c.t.Helper()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = "..", env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

func (c *composed) buildBinary(ctx context.Context) {
	c.t.Helper()
	c.run(ctx, append(os.Environ(), "CGO_ENABLED=0"), "go", "build", "-o", "dist/tenzro", ".")
}

func (c *composed) compose(ctx context.Context, args ...string) string {
	c.t.Helper()
	all := slices.Concat(c.command, []string{"-p", c.project}, args)
	return c.run(ctx, c.env, all[0], all[1:]...)
}

func (c *composed) docker(ctx context.Context, args ...string) string {
	c.t.Helper()
	return c.run(ctx, c.env, "docker", args...)
}

// down shows the logs of a network that failed and leaves nothing behind.
func (c *composed) down() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if c.t.Failed() {
		c.t.Log(c.compose(ctx, "logs", "--no-color", "--tail", "20"))
	}
	c.compose(ctx, "down", "-v", "-t", "5")
}

func (c *composed) ids(ctx context.Context) []string {
	c.t.Helper()
	return strings.Fields(c.docker(ctx, "ps", "-q", "--filter", "label=com.docker.compose.project="+c.project))
}

// node returns the container of a service.
func (c *composed) node(ctx context.Context, service string) string {
	c.t.Helper()
	return c.compose(ctx, "ps", "-q", service)
}

// until repeats check until it passes.
func (c *composed) until(ctx context.Context, limit time.Duration, what string, check func() error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("no %s within %s: %v", what, limit, err)
		case <-tick.C:
		}
	}
}

func (c *composed) healthy(ctx context.Context) error {
	status := c.docker(ctx, "ps", "--filter", "label=com.docker.compose.project="+c.project, "--format", "{{.Names}} {{.Status}}")
	if n := strings.Count(status, "(healthy)"); n != containers {
		return fmt.Errorf("%d of %d are healthy:\n%s", n, containers, status)
	}
	return nil
}

// regions reports whether the gateway sees two regions that have workers.
func (c *composed) regions(ctx context.Context) error {
	var state struct {
		Regions []struct {
			ID       string
			Capacity struct{ CPU float64 }
		}
	}
	text := c.get(ctx, c.api+"/network/state")
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		return fmt.Errorf("%w in %.200q", err, text)
	}
	ready := 0
	for _, r := range state.Regions {
		if r.Capacity.CPU > 0 {
			ready++
		}
	}
	if ready != 2 {
		return fmt.Errorf("the gateway sees %.300s", text)
	}
	return nil
}

// solves submits the documented task as documented and wants 55.
func (c *composed) solves(ctx context.Context) {
	c.t.Helper()
	var task struct{ TaskID, Status string }
	answer := c.do(ctx, http.MethodPost, c.api+"/tasks", sampleTask)
	if err := json.Unmarshal([]byte(answer), &task); err != nil || task.Status != "pending" {
		c.t.Fatalf("submitting answers %q, %v", answer, err)
	}
	var end struct {
		Status string
		Result json.RawMessage
	}
	answer = c.get(ctx, c.api+"/tasks/"+task.TaskID+"/result?wait=45s")
	if err := json.Unmarshal([]byte(answer), &end); err != nil || end.Status != "completed" || string(end.Result) != "55" {
		c.t.Fatalf("the result is %q, %v; want 55", answer, err)
	}
}

func (c *composed) get(ctx context.Context, url string) string {
	c.t.Helper()
	return c.do(ctx, http.MethodGet, url, "")
}

func (c *composed) do(ctx context.Context, method, url, body string) string {
	c.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}
