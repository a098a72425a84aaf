package event

import (
	"time"

	"github.com/tenzro/tenzro/core"
)

// Name says what happened. The documented names are a contract with clients.
type Name string

// What a global node tells (document 0, "Events").
const (
	TaskReceived        Name = "task_received" // also told by a regional node
	TaskDistributed     Name = "task_distributed"
	TaskFailed          Name = "task_failed"
	NetworkStateChanged Name = "network_state_changed"
)

// What a regional node tells.
const (
	SubtaskCompleted        Name = "subtask_completed"
	TaskAggregated          Name = "task_aggregated"
	AggregationStateChanged Name = "aggregation_state_changed"
)

// What a local node tells.
const (
	TaskAssigned         Name = "task_assigned"
	TaskCompleted        Name = "task_completed"
	AggregationProposed  Name = "aggregation_proposed"
	AggregationSucceeded Name = "aggregation_succeeded"
	AggregationFailed    Name = "aggregation_failed"
	ResourceCritical     Name = "resource_critical"
	ResourceRecovered    Name = "resource_recovered"
)

// What every node tells.
const (
	PeerConnected    Name = "peer_connected"
	PeerDisconnected Name = "peer_disconnected"
	RolesChanged     Name = "roles_changed"
)

// Names returns every name, in the order they are documented.
func Names() []Name {
	return []Name{
		TaskReceived, TaskDistributed, TaskFailed, NetworkStateChanged,
		SubtaskCompleted, TaskAggregated, AggregationStateChanged,
		TaskAssigned, TaskCompleted, AggregationProposed, AggregationSucceeded, AggregationFailed,
		ResourceCritical, ResourceRecovered,
		PeerConnected, PeerDisconnected, RolesChanged,
	}
}

// Event is one fact. The publisher sets Name and what is known; the Bus sets ID,
// and At when it is zero. Data must encode to JSON and must not change after it
// was published: every subscriber sees the same value.
type Event struct {
	ID     uint64      `json:"id"` // 1, 2, 3, ... since the node started
	Name   Name        `json:"name"`
	At     time.Time   `json:"at"`
	TaskID core.TaskID `json:"taskId,omitempty"`
	Data   any         `json:"data,omitempty"`
}
