package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
	"github.com/tenzro/tenzro/internal/service"
	"github.com/tenzro/tenzro/jobs/workflow"
	"github.com/tenzro/tenzro/storage"
)

// Tasks is how users reach the network; any node is a gateway. Its errors are
// *core.Error values whose kind becomes the status of the answer.
type Tasks interface {
	// Submit accepts a task durably and returns its first status. The same key
	// with the same spec returns the same task; with another spec, core.Exists.
	// An empty key means the request carried none.
	Submit(ctx context.Context, spec core.TaskSpec, idempotencyKey string) (core.TaskStatus, error)
	// Status returns a snapshot, core.NotFound for an unknown id.
	Status(ctx context.Context, id core.TaskID) (core.TaskStatus, error)
	// Result waits up to wait for the task's end; core.Conflict when it has not
	// finished by then.
	Result(ctx context.Context, id core.TaskID, wait time.Duration) (core.TaskResult, error)
	// Cancel asks for the end of a task; core.Conflict when it has ended already.
	Cancel(ctx context.Context, id core.TaskID) (core.TaskStatus, error)
	// List returns one page of the network's tasks, newest first.
	List(ctx context.Context, f core.TaskFilter) (core.TaskPage, error)
}

// Workflows is what tells a workflow from any other task, which it is as well.
type Workflows interface {
	// Workflow returns a workflow with its steps, core.NotFound for an unknown id and
	// for a task that is none.
	Workflow(ctx context.Context, id core.TaskID) (workflow.Status, error)
}

// Objects is what tasks may name instead of carrying it.
type Objects interface {
	storage.Store
	// Resolve returns the task with the bytes of objects in place of references to
	// them. It may fetch them from other nodes. An object that is nowhere is
	// core.NotFound, a task that becomes too large core.Exhausted with "data" as Op.
	Resolve(ctx context.Context, spec core.TaskSpec) (core.TaskSpec, error)
}

// Global is what an active global role adds to Tasks.
type Global interface {
	NetworkState(ctx context.Context) (core.GlobalState, error)
}

// Regional is what an active regional role provides.
type Regional interface {
	// Distribute hands a task to local nodes of the region and says to how many.
	Distribute(ctx context.Context, id core.TaskID, spec core.TaskSpec) (nodesAssigned int, err error)
	// AcceptResult takes a node's result for aggregation and validation.
	AcceptResult(ctx context.Context, id core.TaskID, node core.NodeID, result json.RawMessage) error
	NetworkState(ctx context.Context) (core.RegionalState, error)
}

// Local is what an active local role provides.
type Local interface {
	// Assign queues a task on this very node.
	Assign(ctx context.Context, id core.TaskID, spec core.TaskSpec) error
	Status(ctx context.Context) (core.LocalStatus, error)
	// Aggregate proposes an aggregation to nearby nodes and returns at once.
	Aggregate(ctx context.Context, target core.Tier, timeout time.Duration) (proposalID string, err error)
}

// Node answers questions about the node itself, from memory.
type Node interface {
	Status() NodeStatus
	// Ready returns nil when outside work is taken, else why not.
	Ready() error
	Peers() []Peer
	Profile() Profile
	Parameters() core.Parameters
}

// Roles reads and changes the roles of the running node.
type Roles interface {
	Roles() []string
	SetRoles(ctx context.Context, names []string) error
}

// Modes reads and changes how much the running node relies on coordinators.
type Modes interface {
	Mode() string
	SetMode(ctx context.Context, name string) error
}

// Deps is what the server is made of. The functions may return nil while the
// role is not active; a returned value is used for one request.
type Deps struct {
	Tasks     Tasks
	Workflows Workflows
	Insight   Insight
	Objects   Objects
	Global    func() Global
	Regional  func() Regional
	Local     func() Local
	Node      Node
	Roles     Roles
	Modes     Modes
	// Coordinators is the group that keeps this node's region.
	Coordinators Coordinators
	Events       *event.Bus
	Highest      func() core.NodeType    // the highest active type: it owns the documented root paths
	Services     func() []service.Health // what /health lists; nil = none
	Gatherer     prometheus.Gatherer     // what /metrics shows; nil = nothing
	Registerer   prometheus.Registerer   // where this package's own metrics go; nil = nowhere
}

func (d Deps) validate() error {
	missing := ""
	switch {
	case d.Tasks == nil:
		missing = "Tasks"
	case d.Workflows == nil:
		missing = "Workflows"
	case d.Insight == nil:
		missing = "Insight"
	case d.Objects == nil:
		missing = "Objects"
	case d.Global == nil || d.Regional == nil || d.Local == nil:
		missing = "Global, Regional or Local"
	case d.Node == nil:
		missing = "Node"
	case d.Roles == nil:
		missing = "Roles"
	case d.Modes == nil:
		missing = "Modes"
	case d.Coordinators == nil:
		missing = "Coordinators"
	case d.Events == nil:
		missing = "Events"
	case d.Highest == nil:
		missing = "Highest"
	default:
		return nil
	}
	return core.Errorf(core.Internal, "api.New", "the api server was built without %s", missing)
}

// NodeStatus answers GET /api/v1/node.
type NodeStatus struct {
	ID            core.NodeID    `json:"id"`
	Version       string         `json:"version"`
	Network       core.NetworkID `json:"network"`
	Region        core.RegionID  `json:"region"`
	Type          string         `json:"type"` // the highest active node type
	Roles         []string       `json:"roles"`
	Tier          core.Tier      `json:"tier"`
	Mode          string         `json:"mode"` // hybrid, p2p-primary or p2p
	State         core.Lifecycle `json:"state"`
	StartedAt     time.Time      `json:"startedAt"`
	UptimeS       int64          `json:"uptimeS"`
	Peers         int            `json:"peers"`
	MinPeers      int            `json:"minPeers"`
	Addrs         []string       `json:"addrs"`         // multiaddrs that end in /p2p/<id>
	HTTP          string         `json:"http"`          // host:port of this API
	Metrics       string         `json:"metrics"`       // host:port of the metrics listener, empty when off
	CreditsEarned string         `json:"creditsEarned"` // decimal string of base units
	ActiveTasks   int            `json:"activeTasks"`
	Queued        int            `json:"queued"`
	Resting       string         `json:"resting,omitempty"` // why the node takes no work just now
	// ClockSkewMS is how far the node's clock is ahead of those of ClockPeers
	// connected peers, by their messages of the last minutes; nil when none came.
	ClockSkewMS *int64 `json:"clockSkewMs,omitempty"`
	ClockPeers  int    `json:"clockPeers,omitempty"`
}

// Peer is one connected peer. What is not known about it is left out.
type Peer struct {
	ID         core.NodeID   `json:"id"`
	Addrs      []string      `json:"addrs"`
	Direction  string        `json:"direction"` // "inbound" or "outbound"
	Roles      []string      `json:"roles,omitempty"`
	Region     core.RegionID `json:"region,omitempty"`
	RTTMS      float64       `json:"rttMs,omitempty"`
	Reputation *int          `json:"reputation,omitempty"` // 0..100
	Since      time.Time     `json:"since,omitzero"`
	Version    string        `json:"version,omitempty"` // what the peer says it runs, printable ASCII of at most 64 bytes
}

// Profile is the hardware profile, as GET /api/v1/node/profile shows it.
type Profile struct {
	OS            string             `json:"os"`
	Arch          string             `json:"arch"`
	CPUModel      string             `json:"cpuModel"`
	Resources     core.Resources     `json:"resources"`
	Accelerators  []core.Accelerator `json:"accelerators"`
	Power         Power              `json:"power"`
	Tier          core.Tier          `json:"tier"`
	Capabilities  []string           `json:"capabilities"`  // core.Capability.Names
	EligibleRoles []string           `json:"eligibleRoles"` // roles whose minimum this machine meets
	TaskTypes     []string           `json:"taskTypes"`     // engines this node can run
	MeasuredAt    time.Time          `json:"measuredAt,omitzero"`
}

// Power is the machine's supply and heat, as far as its system tells, seen within
// the last 15 seconds on a node that computes and at its start on others.
type Power struct {
	OnBattery     bool    `json:"onBattery"`               // and not being fed
	ChargePercent *int    `json:"chargePercent,omitempty"` // of the least charged battery; absent without one
	Celsius       float64 `json:"celsius,omitzero"`        // of the hottest sensor; absent when the system shows none
}
