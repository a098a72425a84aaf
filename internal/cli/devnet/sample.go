package devnet

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

// Sample is the task of the documentation; its result is 55.
const Sample = `{"type":"compute","requirements":{"minTier":"aggregator","cpu":80,"memoryMB":1024},` +
	`"data":{"input":[1,2,3,4,5],"operations":["square","sum"]}}`

const (
	sampleLimit = 60 * time.Second
	resultWait  = 10 * time.Second
)

// Answer is the sample's result and the processes behind it.
type Answer struct {
	TaskID  core.TaskID     `json:"taskId"`
	Status  core.TaskState  `json:"status"`
	Result  json.RawMessage `json:"result"`
	Gateway Process         `json:"gateway"`
	Regions []RegionProcess `json:"regions"`
	Workers []Process       `json:"workers"`
}

// Process is a node and the process it runs in.
type Process struct {
	ID  core.NodeID `json:"id"`
	PID int         `json:"pid"`
}

// RegionProcess is a region and the process of its regional node.
type RegionProcess struct {
	ID   core.RegionID `json:"id"`
	Node core.NodeID   `json:"node"`
	PID  int           `json:"pid"`
}

// Submit hands the sample to the first global node and waits for its result. A
// task that ended without one is a *core.Failure.
func (n *Network) Submit(ctx context.Context) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, sampleLimit)
	defer cancel()
	gateway := n.nodes[0]
	c, err := client.New(gateway.Runtime.HTTP, "")
	if err != nil {
		return Answer{}, err
	}
	defer c.Close()
	status, err := c.Submit(ctx, []byte(Sample), false)
	if err != nil {
		return Answer{}, err
	}
	result, err := await(ctx, c, status.TaskID)
	if err != nil {
		return Answer{}, err
	}
	answer := n.answer(result)
	if result.Status == core.TaskCompleted {
		return answer, nil
	}
	if result.Failure == nil {
		result.Failure = &core.Failure{Reason: core.Reason(result.Status), Message: "the sample ended without a result"}
	}
	return answer, result.Failure
}

func await(ctx context.Context, c *client.Client, id core.TaskID) (core.TaskResult, error) {
	var result core.TaskResult
	err := every(ctx, askEvery, func() (bool, error) {
		answer, err := c.Result(ctx, id, resultWait)
		if errors.Is(err, core.Conflict) {
			return false, nil
		}
		if err == nil {
			result, err = client.Decode[core.TaskResult](answer)
		}
		return err == nil, err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = core.Errorf(core.Timeout, "devnet", "task %s has no result after %s", id, sampleLimit).
			WithHint("look into the logs of the nodes with --home DIR")
	}
	return result, err
}

// answer puts process ids to the nodes that the result names.
func (n *Network) answer(r core.TaskResult) Answer {
	a := Answer{TaskID: r.TaskID, Status: r.Status, Result: r.Result, Gateway: n.nodes[0].process(),
		Regions: []RegionProcess{}, Workers: []Process{}}
	for _, node := range n.nodes {
		if node.Role == "regional" && slices.Contains(r.Regions, node.Runtime.Region) {
			a.Regions = append(a.Regions, RegionProcess{node.Runtime.Region, node.Runtime.PeerID, node.PID})
		}
		if slices.Contains(r.Workers, node.Runtime.PeerID) {
			a.Workers = append(a.Workers, node.process())
		}
	}
	return a
}

func (n Node) process() Process { return Process{ID: n.Runtime.PeerID, PID: n.PID} }
