package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/node"
)

const (
	netID  = core.NetworkID("bench")
	region = core.RegionID("bench")
	// startTime bounds how long the nodes may take until they serve.
	startTime = 30 * time.Second
	// arriving is how many workers connect at once.
	arriving = 16
)

// Config says what a cluster is like.
type Config struct {
	// Home is an empty directory for keys and logs.
	Home string
	// Slots is how many subtasks a worker takes at once.
	Slots int
	// Split gives the gateway a node of its own, so that jobs also cross a socket
	// on their way to the region.
	Split bool
	// Durable keeps the region's journal on disk; otherwise in memory.
	Durable bool
	// Data is the job's data, Want its result.
	Data json.RawMessage
	Want string
}

// Cluster is one region with its gateway.
type Cluster struct {
	cfg     Config
	job     []byte          // the request that submits the job and waits for it
	lasting []byte          // the one that does not wait
	want    []byte          // what its answer contains
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup
	nodes   []*served // the region first
	starts  moments
	stops   moments
	lasts   atomic.Int64 // nanoseconds that every job takes besides its computation

	registry *prometheus.Registry // of all workers together
	metrics  *dispatch.Metrics

	mu      sync.Mutex
	workers []*worker
	failure error // of a node that stopped by itself
}

// served is a node that runs.
type served struct {
	*node.Node
	client *client
	log    *os.File
}

// Start builds a cluster without workers and waits until it serves.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	c := &Cluster{cfg: cfg, registry: prometheus.NewRegistry()}
	c.ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	err := c.build(ctx)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) build(ctx context.Context) error {
	var err error
	if c.metrics, err = dispatch.NewMetrics(c.registry); err != nil {
		return err
	}
	if err := c.serveAll(ctx); err != nil {
		return err
	}
	spec := core.TaskSpec{Type: "compute", Requirements: core.Requirements{CPU: 1, MemoryMB: 16}, Data: c.cfg.Data}
	body, err := json.Marshal(spec)
	c.job = c.front().client.request(http.MethodPost, "/api/v1/tasks?wait=10s", body)
	c.lasting = c.front().client.request(http.MethodPost, "/api/v1/tasks", body)
	c.want = fmt.Appendf(nil, `"status":"completed","result":%s,`, c.cfg.Want)
	return err
}

func (c *Cluster) serveAll(ctx context.Context) error {
	if !c.cfg.Split {
		return c.serve(ctx, "global,regional", nil)
	}
	if err := c.serve(ctx, "regional", nil); err != nil {
		return err
	}
	return c.serve(ctx, "global", c.nodes[0].Status().Addrs)
}

// serve starts one node and waits until its API answers.
func (c *Cluster) serve(ctx context.Context, role string, bootstrap []string) error {
	roles, err := core.ParseRoles(role)
	if err != nil {
		return err
	}
	home := filepath.Join(c.cfg.Home, role)
	log, err := logFile(home)
	if err != nil {
		return err
	}
	cfg := node.Config{Home: home, Network: netID, Roles: roles, Version: "bench",
		P2P:  node.P2PConfig{ListenIPs: []string{"127.0.0.1"}, WSPort: -1, LANPort: -1, Bootstrap: bootstrap, Standalone: true},
		HTTP: node.HTTPConfig{Addr: "127.0.0.1:0"}, Jobs: node.JobsConfig{Journal: node.JournalMemory}}
	if c.cfg.Durable {
		cfg.Jobs.Journal = node.JournalDisk
	}
	if role != "global" {
		cfg.Region = region
	}
	n, err := node.New(cfg, zerolog.New(log).Level(zerolog.InfoLevel).With().Timestamp().Logger())
	if err != nil {
		return errors.Join(err, log.Close())
	}
	s := &served{Node: n, client: newClient(n.Status().HTTP), log: log}
	c.nodes = append(c.nodes, s)
	c.running.Go(func() {
		if err := n.Run(c.ctx); err != nil && c.ctx.Err() == nil {
			c.failed(fmt.Errorf("the %s node stopped: %w", role, err))
		}
	})
	return c.await(ctx, s, "/readyz", func(status int, _ []byte) bool { return status == http.StatusOK })
}

// logFile is where a node's log goes, as it does for `tenzro run`.
func logFile(home string) (*os.File, error) {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	return os.Create(filepath.Join(home, "log"))
}

func (c *Cluster) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure == nil {
		c.failure = err
	}
}

// await asks a node until its answer to path is as wanted.
func (c *Cluster) await(ctx context.Context, s *served, path string, wanted func(status int, text []byte) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		if status, text, err := s.client.do(ctx, s.client.request(http.MethodGet, path, nil)); err == nil && wanted(status, text) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s of the node at %s is not what it should be after %s", path, s.client.addr, startTime)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Grow adds workers until there are n. It returns once the gateway knows that the
// region has some.
func (c *Cluster) Grow(ctx context.Context, n int) error {
	g, hiring := errgroup.WithContext(ctx)
	g.SetLimit(arriving)
	for range n - c.Workers() {
		g.Go(func() error {
			w, err := c.hire(hiring)
			if err != nil {
				return err
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.workers = append(c.workers, w)
			return nil
		})
	}
	if err := g.Wait(); err != nil || !c.cfg.Split {
		return err
	}
	return c.await(ctx, c.front(), "/network/state", func(status int, text []byte) bool {
		var state core.GlobalState
		return status == http.StatusOK && json.Unmarshal(text, &state) == nil && len(state.Regions) > 0 && state.Regions[0].Capacity.CPU > 0
	})
}

// front is the node that takes jobs from users.
func (c *Cluster) front() *served { return c.nodes[len(c.nodes)-1] }

// Workers returns how many workers are linked.
func (c *Cluster) Workers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.workers)
}

// Close ends workers and nodes and returns what went wrong with them.
func (c *Cluster) Close() error {
	c.stop()
	var errs []error
	for _, w := range c.workers {
		errs = append(errs, w.host.Close())
	}
	c.running.Wait()
	for _, n := range c.nodes {
		n.client.close()
		errs = append(errs, n.log.Close())
	}
	return errors.Join(append(errs, c.failure)...)
}
