package benchmark

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vsa/hyper"
	"github.com/tenzro/tenzro/compute/workload"
	"github.com/tenzro/tenzro/wire"
)

const (
	// DefaultSegments is how much of a workload is done unless the task says: some
	// tenths of a second.
	DefaultSegments = 64
	// MaxUnits caps the estimated work of one task: about 20 s.
	MaxUnits = 2e10
)

// taskData is the data of a task.
type taskData struct {
	Workload string `json:"workload"`
	Version  *int   `json:"version,omitempty"`  // of the workload; absent: the one there is
	Segments *int   `json:"segments,omitempty"` // absent: DefaultSegments
	Seed     string `json:"seed,omitempty"`     // decimal; absent: "0"
}

// task is data that was checked.
type task struct {
	kind     workload.Kind
	segments int
	seed     uint64
}

// decode reads and checks a task completely.
func (b *Benchmark) decode(data json.RawMessage) (*task, error) {
	var d taskData
	if err := wire.DecodeStrictClosed(data, &d); err != nil {
		return nil, compute.Below(err)
	}
	i := slices.IndexFunc(b.kinds, func(k workload.Kind) bool { return k.Name == d.Workload })
	if i < 0 {
		return nil, compute.Invalid("data.workload", "%.32q is unknown", d.Workload).WithHint(fmt.Sprintf("the workloads are %v", b.Workloads()))
	}
	t := &task{kind: b.kinds[i], segments: min(DefaultSegments, b.kinds[i].Limit)}
	if d.Version != nil && *d.Version != t.kind.Version {
		return nil, compute.Invalid("data.version", "is %d; this node knows version %d of %s", *d.Version, t.kind.Version, t.kind.Name)
	}
	if d.Segments != nil {
		if t.segments = *d.Segments; t.segments < 1 || t.segments > t.kind.Limit {
			return nil, compute.Invalid("data.segments", "is %d; it must be 1 to %d", t.segments, t.kind.Limit)
		}
	}
	if d.Seed != "" {
		var err error
		if t.seed, err = strconv.ParseUint(d.Seed, 10, 64); err != nil || strconv.FormatUint(t.seed, 10) != d.Seed {
			return nil, compute.Invalid("data.seed", "%.32q is not a number from 0 to 2^64-1", d.Seed).WithHint(`write digits in a string, for example "42"`)
		}
	}
	if t.units() > MaxUnits {
		return nil, compute.Invalid("data.segments", "cost about %.0f units; at most %.0f are allowed", t.units(), float64(MaxUnits))
	}
	return t, nil
}

func (t *task) units() float64 { return t.kind.Units * float64(t.segments) }

// segmentSeed is the seed of segment i.
func (t *task) segmentSeed(i int) uint64 { return hyper.ItemSeed(t.seed, i) }

// score is what was done per second: one rounding each for product and quotient.
func (t *task) score(elapsedUS int64) float64 {
	return float64(float64(t.segments)*t.kind.Each*1e6) / float64(elapsedUS)
}
