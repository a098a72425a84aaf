package api_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
)

// keyed is a network that remembers tasks by their keys; the first few of them
// have failed.
type keyed struct {
	*network
	bad int

	mu    sync.Mutex
	tasks map[string]core.TaskStatus
}

func (k *keyed) Submit(_ context.Context, _ core.TaskSpec, key string) (core.TaskStatus, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, known := k.tasks[key]
	if !known {
		s = core.TaskStatus{TaskID: core.TaskID("task-" + string(rune('a'+len(k.tasks)))), Status: core.TaskCompleted}
		if len(k.tasks) < k.bad {
			s.Status = core.TaskFailed
		}
		k.tasks[key] = s
	}
	return core.TaskStatus{TaskID: s.TaskID, Status: core.TaskPending}, nil
}

func (k *keyed) Status(_ context.Context, id core.TaskID) (core.TaskStatus, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.tasks {
		if s.TaskID == id {
			return s, nil
		}
	}
	return core.TaskStatus{}, core.Errorf(core.NotFound, "taskId", "unknown")
}

// TestReuseFindsWhatFollowedAFailure: however often a content failed, whoever asks
// again finds the task that did not, and no other is made.
//
// spec 2.63
func TestReuseFindsWhatFollowedAFailure(t *testing.T) {
	for name, c := range map[string]struct {
		bad, status int
		has         string
	}{
		"never failed":     {0, 202, `"taskId":"task-a"`},
		"failed twice":     {2, 202, `"taskId":"task-c"`},
		"failed too often": {99, 429, "without reuse"},
	} {
		t.Run(name, func(t *testing.T) {
			k := &keyed{network: newNetwork(), bad: c.bad, tasks: map[string]core.TaskStatus{}}
			made := 0
			for range 3 {
				w := send(newServer(t, k.network, func(_ *api.Config, d *api.Deps) { d.Tasks = k }), "POST", "/api/v1/tasks?reuse=true", sample)
				if w.Code != c.status || !strings.Contains(w.Body.String(), c.has) {
					t.Errorf("status %d, want %d with %s: %s", w.Code, c.status, c.has, w.Body)
				}
				if made == 0 {
					made = len(k.tasks)
				}
			}
			if len(k.tasks) != made {
				t.Errorf("%d tasks were made, %d by the first request", len(k.tasks), made)
			}
		})
	}
}
