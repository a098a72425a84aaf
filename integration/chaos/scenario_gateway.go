package chaos

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/history"
)

// gatewayScenario kills the gateway that has just acknowledged a job.
type gatewayScenario struct{}

func (gatewayScenario) Name() string { return "gateway" }

func (gatewayScenario) About() string {
	return "a gateway is killed right after its 202: the job completes without it, the other gateway answers at once, the first one after its restart"
}

func (gatewayScenario) Plan(short bool) Plan {
	p := Plan{Topology: Topology{Gateways: 2, Coordinators: 1, Workers: 4},
		Load:  Load{Work: Work{CPU: 200 * time.Millisecond, Parts: 2}, Timeout: 2 * time.Minute},
		Terms: history.Terms{Completed: 1}, Rounds: 20, Warm: 8}
	if short {
		p.Topology.Workers, p.Rounds, p.Warm = 2, 1, 4
	}
	return p
}

// Inject kills the gateway of the first job of each round within the moment of
// its acknowledgement.
func (gatewayScenario) Inject(ctx context.Context, a *Arena) error {
	var other, itself []time.Duration
	for round := range a.Plan.Rounds {
		j := a.loader.submit(ctx, time.Now())
		<-j.Acked
		if j.Task == "" {
			return fmt.Errorf("round %d: no gateway took the job", round+1)
		}
		if err := a.Kill(ctx, j.by); err != nil {
			return err
		}
		for _, g := range a.Net.Of(Gateway) {
			if g != j.by {
				took, err := answers(ctx, g, j.Task)
				if err != nil {
					return err
				}
				other = append(other, took)
			}
		}
		<-j.Done // at the other gateway
		if err := a.Restart(ctx, j.by); err != nil {
			return err
		}
		took, err := answers(ctx, j.by, j.Task)
		if err != nil {
			return err
		}
		itself = append(itself, took)
		if err := a.Net.Ready(ctx); err != nil {
			return err
		}
	}
	a.Note("the other gateway answers after", "%s", latency(history.Summarize(other)))
	a.Note("the first one, after it serves again", "%s", latency(history.Summarize(itself)))
	return nil
}

// answers waits until a gateway knows a job and says how long that took.
func answers(ctx context.Context, g *Node, id core.TaskID) (time.Duration, error) {
	start := time.Now()
	err := await(ctx, g.Name+" to answer for "+string(id), time.Minute, func(ctx context.Context) error {
		status, text, err := g.get(ctx, "/api/v1/tasks/"+string(id), callLimit)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("it answers %d: %.200s", status, text)
		}
		return err
	})
	return time.Since(start), err
}
