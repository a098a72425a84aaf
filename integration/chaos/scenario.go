package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenzro/tenzro/integration/history"
)

// Scenario is one kind of hurt.
type Scenario interface {
	// Name is a word for flags.
	Name() string
	// About says in one line what happens and what must hold.
	About() string
	// Plan returns the network, the load and the terms when nobody says otherwise;
	// short for a test of some seconds.
	Plan(short bool) Plan
	// Inject hurts the network while the load comes, and returns when it is done
	// with that. An error ends the run; what became of the jobs is judged elsewhere.
	Inject(ctx context.Context, a *Arena) error
}

// Plan is what a run is made of.
type Plan struct {
	Topology Topology      `json:"topology"`
	Load     Load          `json:"load"`
	Terms    history.Terms `json:"terms"`
	Rounds   int           `json:"rounds,omitempty"`  // of scenarios that go by rounds
	Pause    time.Duration `json:"pauseNs,omitempty"` // between two faults, or how long one lasts
	Faults   []string      `json:"faults,omitempty"`  // of those that choose
	Gone     map[Kind]bool `json:"-"`                 // kinds of nodes that stay dead
	Warm     int           `json:"warm"`              // jobs before the faults
}

// Scenarios returns all there are.
func Scenarios() []Scenario {
	return []Scenario{workersScenario{}, roundsScenario{}, gatewayScenario{}, leaderScenario{}, singleScenario{}, freezeScenario{},
		partitionScenario{}, lossScenario{}, bootstrapScenario{}, diskScenario{}, mixedScenario{}, workflowScenario{}}
}

// Find returns the scenario of a name.
func Find(name string) (Scenario, error) {
	all := Scenarios()
	if i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name() == name }); i >= 0 {
		return all[i], nil
	}
	var known []string
	for _, s := range all {
		known = append(known, s.Name())
	}
	return nil, fmt.Errorf("there is no scenario %q; there are %v", name, known)
}

// chooser is a scenario that takes its faults from the plan.
type chooser interface {
	// faults are all it knows.
	faults() []string
}

// CheckFaults refuses faults that a scenario does not know, or where it has none to
// choose from.
func CheckFaults(s Scenario, faults []string) error {
	c, chooses := s.(chooser)
	if len(faults) > 0 && !chooses {
		return fmt.Errorf("scenario %s has no faults to choose from", s.Name())
	}
	for _, f := range faults {
		if known := c.faults(); !slices.Contains(known, f) {
			return fmt.Errorf("scenario %s knows no fault %q; there are %v", s.Name(), f, known)
		}
	}
	return nil
}

// Options change a scenario's plan; zero fields leave it as it is.
type Options struct {
	Seed     uint64
	Short    bool
	Jobs     int
	Duration time.Duration
	Rate     float64
	Rounds   int
	Pause    time.Duration
	Lease    time.Duration
	CPU      time.Duration // of a job
	Parts    int           // subtasks of a job

	Workers, Gateways, Coordinators int
	Faults                          []string
	// Group makes the coordinators one group.
	Group bool

	// AnyGateway also repeats keys at gateways that did not acknowledge them: they
	// must find the same jobs.
	AnyGateway bool
	// Binary is the program under test, Dir an empty directory for homes and logs.
	Binary, Dir string
	// Logf tells what happens.
	Logf func(format string, args ...any)
}

// plan is the scenario's with the options over it.
func (o Options) plan(s Scenario) Plan {
	p := s.Plan(o.Short)
	if o.Jobs > 0 {
		p.Load.Jobs, p.Load.Duration = o.Jobs, 0
	}
	if o.Duration > 0 {
		p.Load.Jobs, p.Load.Duration = 0, o.Duration
	}
	set(&p.Load.Rate, o.Rate)
	set(&p.Load.Work.CPU, o.CPU)
	set(&p.Load.Work.Parts, o.Parts)
	set(&p.Rounds, o.Rounds)
	set(&p.Pause, o.Pause)
	set(&p.Topology.Lease, o.Lease)
	set(&p.Topology.Workers, o.Workers)
	set(&p.Topology.Gateways, o.Gateways)
	set(&p.Topology.Coordinators, o.Coordinators)
	if len(o.Faults) > 0 {
		p.Faults = o.Faults
	}
	p.Terms.StrictKeys = o.AnyGateway
	p.Topology.Group = p.Topology.Group || o.Group
	p.Topology.Walled = p.Topology.Walled || slices.ContainsFunc(p.Faults, func(f string) bool { return strings.HasPrefix(f, cut) })
	if slices.ContainsFunc(p.Faults, func(f string) bool { return strings.Contains(f, "leader") }) {
		p.Topology.Group, p.Topology.Coordinators = true, max(3, p.Topology.Coordinators)
	}
	return p
}

func set[T comparable](field *T, value T) {
	var zero T
	if value != zero {
		*field = value
	}
}
