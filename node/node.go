package node

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/gossip"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/internal/service"
	"github.com/tenzro/tenzro/internal/trace/otlp"
	"github.com/tenzro/tenzro/jobs/dispatch"
	"github.com/tenzro/tenzro/keys"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/registry"
	"github.com/tenzro/tenzro/registry/presence"
	"github.com/tenzro/tenzro/roles"
	"github.com/tenzro/tenzro/roles/global"
	"github.com/tenzro/tenzro/roles/local"
	"github.com/tenzro/tenzro/roles/regional"
	"github.com/tenzro/tenzro/storage/disk"
	"github.com/tenzro/tenzro/storage/exchange"
)

// Node is one running tenzro node.
type Node struct {
	cfg        Config
	log        zerolog.Logger
	registry   *prometheus.Registry
	registerer prometheus.Registerer
	events     *event.Bus
	tree       *service.Tree
	started    time.Time
	closers    []func() error // in the order of building
	draining   atomic.Bool
	modes      *modes
	lookFor    time.Duration // how long after the start looking may last
	hinted     bool          // others may be there: bootstrap nodes, peers of an earlier run
	looked     atomic.Bool   // the DHT has answered who coordinates, and nobody could be linked

	identity *keys.Identity
	machine  atomic.Pointer[machine]
	sizes    func(context.Context) (core.Resources, error) // what the machine has now
	host     *p2p.Host
	router   *gossip.Router
	gate     gate

	reputation *registry.Reputation
	workers    *registry.Table
	regions    *registry.Regions
	met        *met
	finder     *presence.Finder
	ads        *ads
	board      presence.Board

	rest        *compute.Rest                 // asked by the pressure service only, once the node runs
	resting     atomic.Pointer[compute.Pause] // why no work is taken; see Resting
	power       atomic.Pointer[compute.Power] // as it was seen last
	capacity    *compute.Capacity
	engine      *compute.Engine
	sandbox     *sandbox.Pool       // what runs the programs of strangers
	containers  *container.Executor // runs nothing unless it is switched on
	planners    map[core.TaskType]compute.Planner
	whole       map[core.TaskType]compute.Planner // of whole jobs: planners, and that of workflows
	executors   map[core.TaskType]compute.Executor
	blobs       *dispatch.Blobs
	kept        *disk.Store     // the objects on this node's disk
	objects     *exchange.Store // and those of others
	linkMetrics *dispatch.Metrics
	gateway     *dispatch.Dispatcher // towards regions
	region      *dispatch.Dispatcher // towards workers
	links       *links
	keeper      *keeper
	announcer   *announcer

	coordinator *global.Coordinator
	validator   *regional.Validator
	tasks       *local.Tasks
	server      *api.Server
	exporter    *otlp.Exporter // nil unless an endpoint is configured

	deciding sync.Mutex   // one decision about roles at a time
	wanted   core.RoleSet // roles that were asked for; empty: what the machine is good for. Guarded by deciding
	changing sync.Mutex   // one change of roles at a time

	mu     sync.Mutex
	set    core.RoleSet
	active []activeRow
	groups *local.Aggregations    // while the local role is active
	formed *regional.Aggregations // while the regional role is active
}

// activeRow is a row of the catalog whose services run.
type activeRow struct {
	row   roles.Row
	token service.Token
}

// New builds a node: it locks the home, reads or makes the key, measures the
// machine and opens every port. Nothing runs before Run; after an error nothing
// is left open.
func New(cfg Config, log zerolog.Logger) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, log: log, registry: prometheus.NewRegistry(), events: event.New(0), started: time.Now(), modes: newModes(cfg.Mode), lookFor: lookFor}
	n.registerer = n.registry
	n.tree = service.New("node", log)
	stages := []func() error{n.buildIdentity, n.buildRoles, n.buildTables, n.buildNetwork, n.buildObjects, n.buildCompute, n.buildPresence,
		n.buildTrace, n.buildWork, n.buildMetrics, n.buildServer}
	for _, stage := range stages {
		if err := stage(); err != nil {
			return nil, errors.Join(err, n.close())
		}
	}
	return n, nil
}

// Run serves until ctx ends or a service is fatal. When ctx ends, running work
// gets drainTime to finish.
func (n *Node) Run(ctx context.Context) error {
	defer n.close()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	n.populate()
	if err := n.startRoles(n.roleSet()); err != nil {
		return err
	}
	if err := n.writeRuntime(); err != nil {
		return err
	}
	defer n.removeRuntime()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		defer stop()
		select {
		case <-ctx.Done():
			n.drain(serving)
		case <-serving.Done():
		}
	}()
	n.log.Info().Str("node", string(n.identity.ID())).Strs("roles", n.roleSet().Names()).Strs("addrs", n.host.Addrs()).
		Str("http", n.httpAddr()).Msg("node serves")
	err := n.tree.Serve(serving)
	stop()
	<-drained
	return err
}

// expireObjects is how often objects are looked through for those that nobody has used
// for their time.
const expireObjects = 10 * time.Minute

// populate adds what every node runs, whatever its roles.
func (n *Node) populate() {
	n.tree.Add("p2p", n.host)
	n.tree.Add("gossip", n.router)
	n.tree.Add("presence", n.ads.publisher)
	n.tree.Add("watcher", presence.NewWatcher(n.board, n.homeRegion(), n.regions, n.workers, n.log))
	n.tree.Add("gateway", n.gateway)
	n.tree.Add("region", n.region)
	n.tree.Add("keeper", service.Func("keeper", n.keeper.Serve))
	n.tree.Add("sandbox", n.sandbox)
	n.tree.Add("objects", service.Func("objects", n.objects.Serve))
	n.tree.Add("objects-expiry", service.Every("objects-expiry", expireObjects, time.Minute, n.kept.Expire))
	if n.cfg.Compute.Containers.On {
		n.tree.Add("containers", n.containers)
	}
	n.tree.Add("api", n.server)
	if n.exporter != nil {
		n.tree.Add("traces", n.exporter)
	}
	n.tree.Add("machine", service.Every("machine", lookEvery, time.Second, n.look))
	n.tree.Add("expiry", service.Every("expiry", 5*time.Second, time.Second, n.expire))
	n.host.HandleSessions(n.links.protocol(), n.links.accept)
	n.links.inside()
}

// expire drops the links of workers that were silent for too long.
func (n *Node) expire(context.Context) error {
	for _, id := range n.workers.Expire(time.Now()) {
		n.log.Warn().Str("node", string(id)).Msg("node went offline: three heartbeats missed")
		n.region.Detach(id)
	}
	return nil
}

// close undoes the build, last stage first.
func (n *Node) close() error {
	if n.links != nil {
		n.links.close()
	}
	var errs []error
	for _, c := range slices.Backward(n.closers) {
		errs = append(errs, c())
	}
	n.closers = nil
	return errors.Join(errs...)
}

// roleSet returns the roles the node has now.
func (n *Node) roleSet() core.RoleSet {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.set
}

// homeRegion is where this node says it is: the region it keeps, works for, or
// was told to look for; empty when none is known yet.
func (n *Node) homeRegion() core.RegionID {
	if n.cfg.Region != "" || n.links == nil {
		return n.cfg.Region
	}
	return n.links.nearest()
}
