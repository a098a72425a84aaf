package service

import "time"

// State is what a service does right now.
type State string

// The states.
const (
	Waiting    State = "waiting" // added, its tree does not run yet
	Running    State = "running"
	BackingOff State = "backoff" // failed; runs again after its pause
	Finished   State = "done"    // said Done, was fatal, or was told to stop
)

// Health is one service as its tree sees it.
type Health struct {
	Name      string    `json:"name"` // "tree/service" for a service of a subtree
	State     State     `json:"state"`
	Restarts  int       `json:"restarts"` // how often it failed and was run again
	LastError string    `json:"lastError,omitempty"`
	Since     time.Time `json:"since"` // when it came into State
}

// Health returns the services of t and of the trees in it, in the order they
// were added. A finished service stays listed until it is removed.
func (t *Tree) Health() []Health {
	t.mu.Lock()
	entries := append([]*entry(nil), t.entries...)
	t.mu.Unlock()
	var out []Health
	for _, e := range entries {
		e.mu.Lock()
		h := e.health
		e.mu.Unlock()
		out = append(out, h)
		if sub, ok := e.service.(*Tree); ok {
			for _, h := range sub.Health() {
				h.Name = e.name + "/" + h.Name
				out = append(out, h)
			}
		}
	}
	return out
}
