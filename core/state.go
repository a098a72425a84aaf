package core

// The documents' answers about state (document 0, "API Reference"): the bytes
// of their JSON are contract, each golden-tested in package api.

// GlobalState answers GET /network/state on a global node.
type GlobalState struct {
	Regions          []RegionState `json:"regions"`
	GlobalCapacity   Capacity      `json:"globalCapacity"`
	TotalValidators  int           `json:"totalValidators"`
	ActiveValidators int           `json:"activeValidators"`
}

// RegionState is one region as a global node sees it. PerformanceScore is 0..1.
type RegionState struct {
	ID               RegionID `json:"id"`
	Capacity         Capacity `json:"capacity"`
	PerformanceScore float64  `json:"performanceScore"`
}

// RegionalState answers GET /network/state on a regional node.
// AverageTaskDuration is in milliseconds.
type RegionalState struct {
	Nodes                []NodeState        `json:"nodes"`
	Aggregations         []AggregationState `json:"aggregations"`
	TotalTasksInProgress int                `json:"totalTasksInProgress"`
	AverageTaskDuration  float64            `json:"averageTaskDuration"`
}

// NodeState is one local node as its region sees it.
type NodeState struct {
	ID              NodeID   `json:"id"`
	Type            string   `json:"type"`
	Tier            Tier     `json:"tier"`
	Capacity        Capacity `json:"capacity"`
	ActiveTaskCount int      `json:"activeTaskCount"`
}

// AggregationState is a group of local nodes that acts as one of a higher tier.
type AggregationState struct {
	ID       string   `json:"id"`
	Nodes    []NodeID `json:"nodes"`
	Capacity Capacity `json:"capacity"`
}

// LocalStatus answers GET /status on a local node. AggregatedWith is empty when
// the node is in no aggregation.
type LocalStatus struct {
	NodeState
	AggregatedWith string `json:"aggregatedWith"`
}

// Lifecycle is where a node is in its life (document 4, "Node Lifecycle").
type Lifecycle string

// The lifecycle states.
const (
	Offline Lifecycle = "offline" // not running or not reachable
	Syncing Lifecycle = "syncing" // discovering peers, not ready for outside work
	Online  Lifecycle = "online"  // connected and accepting jobs
	Earning Lifecycle = "earning" // at least one paid operation in this session
)
