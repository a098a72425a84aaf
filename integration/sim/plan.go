package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
)

// Plan is everything that a seed chooses.
type Plan struct {
	Seed                            uint64
	Coordinators, Workers, Gateways int
	Slow                            time.Duration // the most that a packet takes
	Election                        time.Duration // of the coordinators
	Tasks                           []Task
	Faults                          []Fault // in order of time; none in a calm seed
}

// Task is what one client wants.
type Task struct {
	At      time.Duration
	Key     string
	Spec    core.TaskSpec
	Want    string
	Cancel  time.Duration // after the acknowledgement; 0: never
	Gateway int           // that is tried first
}

// Kind is what a fault does.
type Kind string

// The kinds of faults.
const (
	Crash     Kind = "crash"     // processes die; their machines answer "refused"
	CrashAt   Kind = "crash at"  // a coordinator dies when it passes a point of a job's life
	PowerLoss Kind = "powerloss" // they are silent, and what was not synced is lost
	Partition Kind = "partition" // nodes are cut off from the others
	OneWay    Kind = "one-way"   // nothing of theirs reaches the others
	Flapping  Kind = "flapping"  // a partition that comes and goes
	LostLinks Kind = "lostlinks" // their connections break
	DiskError Kind = "disk error"
	DiskFull  Kind = "disk full"
	SlowDisk  Kind = "slow disk"
	Clock     Kind = "clock"  // it is off by up to five minutes
	Corrupt   Kind = "memory" // a worker sends something else than it signed
)

// Fault hits nodes from At for For.
type Fault struct {
	Kind  Kind
	At    time.Duration
	For   time.Duration
	Nodes []string
	Skew  time.Duration
	Point Point // of CrashAt
}

// String implements fmt.Stringer.
func (f Fault) String() string {
	if f.Kind == CrashAt {
		return fmt.Sprintf("%-10s %s from %s for %s", f.Kind, f.Point, f.At.Round(time.Millisecond), f.For.Round(time.Millisecond))
	}
	return fmt.Sprintf("%-10s %s from %s for %s", f.Kind, strings.Join(f.Nodes, ","), f.At.Round(time.Millisecond), f.For.Round(time.Millisecond))
}

const (
	loadTime  = 30 * time.Second // tasks come until then
	faultTime = 40 * time.Second // and faults
	maxFault  = 15 * time.Second
	slack     = 45 * time.Second // for which a fault may have consequences
)

// NewPlan makes the plan of a seed.
func NewPlan(seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 0x51))
	p := Plan{Seed: seed, Coordinators: 3, Workers: 2 + r.IntN(4), Gateways: 2 + r.IntN(2), Election: time.Second,
		Slow: time.Millisecond * time.Duration(1+r.IntN(40))}
	if r.IntN(8) == 0 {
		p.Coordinators = 1
	}
	for i := range 20 + r.IntN(21) {
		p.Tasks = append(p.Tasks, newTask(r, seed, i, p.Gateways))
	}
	if r.IntN(16) == 0 {
		return p // calm
	}
	for range 2 + r.IntN(6) {
		p.Faults = append(p.Faults, p.fault(r))
	}
	if r.IntN(3) == 0 {
		for range 1 + r.IntN(3) {
			p.Faults = append(p.Faults, p.crashAt(r))
		}
	}
	return p
}

// crashAt chooses a point, and when a coordinator dies there.
func (p *Plan) crashAt(r *rand.Rand) Fault {
	points := Points()
	return Fault{Kind: CrashAt, Point: points[r.IntN(len(points))], Nodes: names("coordinator", p.Coordinators),
		At: time.Duration(r.Int64N(int64(loadTime))), For: time.Second + time.Duration(r.Int64N(int64(8*time.Second)))}
}

func newTask(r *rand.Rand, seed uint64, n, gateways int) Task {
	var input []string
	for range 1 + r.IntN(24) {
		input = append(input, fmt.Sprint(r.IntN(1000)))
	}
	ops := []string{`["sum"]`, `["square","sum"]`, `["square"]`}[r.IntN(3)]
	t := Task{At: time.Duration(r.Int64N(int64(loadTime))), Key: fmt.Sprintf("key-%d-%d", seed, n), Gateway: r.IntN(gateways)}
	t.Spec = core.TaskSpec{Type: vector.Type, Data: json.RawMessage(`{"input":[` + strings.Join(input, ",") + `],"operations":` + ops + `}`),
		TimeoutMS: 60_000, QueueTimeoutMS: 45_000}
	if r.IntN(3) == 0 {
		t.Spec.Parallelism = 1 + r.IntN(6)
	}
	switch r.IntN(8) {
	case 0:
		t.Cancel = 1 + time.Duration(r.Int64N(int64(4*time.Second)))
	case 1:
		t.Spec.TimeoutMS = 2000 + r.Int64N(8000)
		t.Spec.QueueTimeoutMS = t.Spec.TimeoutMS
	}
	if out, err := vector.New().Run(context.Background(), t.Spec.Data, compute.Report{}); err == nil {
		t.Want = string(out.Result)
	}
	return t
}

// fault chooses one.
func (p *Plan) fault(r *rand.Rand) Fault {
	f := Fault{At: time.Duration(r.Int64N(int64(faultTime))), For: 200*time.Millisecond + time.Duration(r.Int64N(int64(maxFault)))}
	coords, workers, gateways := names("coordinator", p.Coordinators), names("worker", p.Workers), names("gateway", p.Gateways)
	switch r.IntN(12) {
	case 0, 1:
		f.Kind, f.Nodes = Crash, some(r, append(append(coords, workers...), gateways...))
	case 2:
		f.Kind, f.Nodes = PowerLoss, some(r, coords)
	case 3:
		f.Kind, f.Nodes = Crash, some(r, coords)
	case 4:
		f.Kind, f.Nodes = Partition, some(r, append(append(coords, workers...), gateways...))
	case 5:
		f.Kind, f.Nodes = Partition, coords[:1+r.IntN(len(coords))]
	case 6:
		f.Kind, f.Nodes = []Kind{OneWay, Flapping}[r.IntN(2)], some(r, append(append(coords, workers...), gateways...))
	case 7:
		f.Kind, f.Nodes = LostLinks, some(r, append(append(coords, workers...), gateways...))
	case 8:
		f.Kind, f.Nodes = []Kind{DiskError, DiskFull}[r.IntN(2)], some(r, coords)
	case 9:
		f.Kind, f.Nodes = SlowDisk, some(r, coords)
	case 10:
		f.Kind, f.Nodes = Clock, some(r, workers)
		f.Skew = time.Duration(r.Int64N(int64(10*time.Minute))) - 5*time.Minute
	case 11:
		f.Kind, f.Nodes = Corrupt, workers[:1]
	}
	return f
}

func names(kind string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%s-%d", kind, i+1))
	}
	return out
}

// some are a few of all, at least one.
func some(r *rand.Rand, all []string) []string {
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:1+r.IntN(1+len(all)/2)]
}

// Calm says that nothing goes wrong.
func (p *Plan) Calm() bool { return len(p.Faults) == 0 }

// explains says whether a fault had to do with what happened between two moments.
func (p *Plan) explains(from, to time.Duration) bool {
	for _, f := range p.Faults {
		if f.At <= to && f.At+f.For+slack >= from {
			return true
		}
	}
	return false
}

// forfeits says whether faults may have kept a worker from showing what it did from
// some moment on for as long as it keeps it: it died, or they went on for too long.
func (p *Plan) forfeits(worker string, from time.Duration) bool {
	const (
		recovery = 5 * time.Second // elections and links that are made again, after each
		kept     = 30 * time.Second
		longest  = 10 * time.Second // that work takes
	)
	var cut time.Duration
	for _, f := range p.Faults {
		if f.At > from+longest+kept || f.At+f.For+recovery < from {
			continue
		}
		if f.Kind == Crash && slices.Contains(f.Nodes, worker) {
			return true
		}
		cut += f.For + recovery
	}
	return cut > kept-longest
}
