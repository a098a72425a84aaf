package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/history"
	"github.com/tenzro/tenzro/jobs/workflow"
)

// workflowScenario runs a long workflow while any node may die.
type workflowScenario struct{}

func (workflowScenario) Name() string { return "workflow" }

func (workflowScenario) About() string {
	return "a workflow of 200 steps runs while a node of any kind is killed every 20 s and comes back: it completes, each step counted once"
}

func (workflowScenario) Plan(short bool) Plan {
	p := Plan{Topology: Topology{Gateways: 2, Coordinators: 3, Workers: 5, Group: true},
		Load:  Load{Rate: 5, Duration: 2 * time.Minute, Timeout: 3 * time.Minute},
		Terms: history.Terms{Completed: 1, Beside: true}, Pause: 20 * time.Second, Warm: 10, Rounds: 200}
	if short {
		p.Topology.Workers = 2
		p.Load.Duration, p.Pause, p.Warm, p.Rounds = 5*time.Second, 2*time.Second, 4, 12
	}
	return p
}

const (
	// chains is how many steps of the workflow may run side by side.
	chains = 10
	// stepTime is about how long one core is busy with a step.
	stepTime = 500 * time.Millisecond
	// workflowTime bounds the whole workflow.
	workflowTime = 15 * time.Minute
)

// graph is a workflow of n steps in chains: the first gives all others their
// input, so that the graph stays small while its steps do not.
func graph(n int) []byte {
	ones := strings.Repeat("1,", elements()-1) + "1"
	steps := []string{fmt.Sprintf(`{"id":"s0","task":{"type":"compute","data":{"input":[%s],"operations":["round"]}},"retries":10}`, ones)}
	for i := 1; i < n; i++ {
		after := ""
		if i > chains {
			after = fmt.Sprintf(`"after":["s%d"],`, i-chains)
		}
		steps = append(steps, fmt.Sprintf(`{"id":"s%d",%s"task":{"type":"compute","data":{"input":{"$from":"s0"},"operations":[%s"round","sum",{"op":"add","value":%d}]}},"retries":10}`,
			i, after, strings.Repeat(`"sigmoid",`, sigmoids), i))
	}
	return fmt.Appendf(nil, `{"steps":[%s],"timeoutMs":%d}`, strings.Join(steps, ","), workflowTime.Milliseconds())
}

func elements() int { return int(stepTime / elementTime) }

// Inject submits the workflow and kills nodes until it has ended.
func (workflowScenario) Inject(ctx context.Context, a *Arena) error {
	if err := a.Joined(ctx); err != nil {
		return err
	}
	gateways := a.Net.Of(Gateway)
	id, err := startWorkflow(ctx, gateways[0], graph(a.Plan.Rounds))
	if err != nil {
		return err
	}
	begun, kills := time.Now(), 0
	for {
		end, err := a.ended(ctx, gateways, id, a.Plan.Pause)
		if err != nil || end != nil {
			a.Note("workflow", "%d steps, %d nodes killed, %s", a.Plan.Rounds, kills, time.Since(begun).Round(time.Second))
			if err != nil {
				return err
			}
			return a.judgeWorkflow(ctx, gateways, end)
		}
		victim := a.Net.Nodes[a.Rand.IntN(len(a.Net.Nodes))]
		if err := a.Kill(ctx, victim); err != nil {
			return err
		}
		kills++
		a.Pause(ctx, a.Plan.Pause/4)
		if err := a.Restart(ctx, victim); err != nil {
			return err
		}
	}
}

func startWorkflow(ctx context.Context, gateway *Node, body []byte) (core.TaskID, error) {
	status, text, err := gateway.call(ctx, http.MethodPost, "/api/v1/workflows", "the-workflow", body, callLimit)
	if err != nil {
		return "", err
	}
	if status != http.StatusAccepted {
		return "", fmt.Errorf("the workflow was answered %d: %.300s", status, text)
	}
	var got core.TaskStatus
	err = json.Unmarshal(text, &got)
	return got.TaskID, err
}

// ended watches the workflow for a while; nil while it runs. A node that is dead
// is not asked.
func (a *Arena) ended(ctx context.Context, gateways []*Node, id core.TaskID, within time.Duration) (*workflow.Status, error) {
	for until := time.Now().Add(within); time.Now().Before(until); {
		for _, g := range gateways {
			var s workflow.Status
			if g.Up() && g.read(ctx, "/api/v1/workflows/"+string(id), &s) == nil && s.Status.Final() {
				return &s, nil
			}
		}
		if !a.Pause(ctx, time.Second) {
			return nil, ctx.Err()
		}
	}
	return nil, nil
}

// judgeWorkflow holds the end of the workflow against what it must be: every step
// done by a job of its own with one accepted attempt, and the right results.
func (a *Arena) judgeWorkflow(ctx context.Context, gateways []*Node, w *workflow.Status) error {
	if w.Status != core.TaskCompleted {
		return fmt.Errorf("the workflow is %s: %v", w.Status, w.Failure)
	}
	if len(w.Steps) != a.Plan.Rounds {
		return fmt.Errorf("the workflow shows %d of %d steps", len(w.Steps), a.Plan.Rounds)
	}
	seen, again := map[core.TaskID]bool{}, 0
	for _, step := range w.Steps {
		if step.State != workflow.StepDone || step.Done != 1 || seen[step.TaskID] {
			return fmt.Errorf("step %s is %s, done %d times, as task %s", step.ID, step.State, step.Done, step.TaskID)
		}
		seen[step.TaskID] = true
		status, err := gateways[0].status(ctx, step.TaskID)
		if err != nil {
			return err
		}
		good := 0
		for _, try := range status.Attempts {
			if try.Outcome == "ok" {
				good++
			}
		}
		if status.Status != core.TaskCompleted || good > status.Subtasks {
			return fmt.Errorf("the job of step %s is %s with %d accepted results for %d subtasks", step.ID, status.Status, good, status.Subtasks)
		}
		again += max(0, len(status.Attempts)-status.Subtasks)
	}
	a.Note("workflow attempts", "%d beyond the first", again)
	_, result, err := gateways[0].result(ctx, w.TaskID, 0)
	if err != nil {
		return err
	}
	return rightGraph(result.Result, a.Plan.Rounds)
}

// rightGraph checks the results of the last step of every chain.
func rightGraph(result json.RawMessage, n int) error {
	var got map[string]json.Number
	if err := json.Unmarshal(result, &got); err != nil {
		return fmt.Errorf("the workflow's result %.100s: %w", result, err)
	}
	for i := n - chains; i < n; i++ {
		if want := fmt.Sprint(elements() + i); string(got[fmt.Sprintf("s%d", i)]) != want {
			return fmt.Errorf("step s%d gives %s, not %s", i, got[fmt.Sprintf("s%d", i)], want)
		}
	}
	return nil
}
