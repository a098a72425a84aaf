package vsa

import (
	"context"
	"encoding/json"
	"math"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// EvolutionType is the task type of an evolution.
const EvolutionType core.TaskType = "vsa_evolution"

// Bounds of an evolution.
const (
	MaxExemplars   = 4096
	MaxPopulation  = 1024
	MaxGenerations = 100_000
	MaxMutations   = 4096
	MaxIslands     = 1024

	defaultPopulation  = 32
	defaultGenerations = 200
)

// evolutionData is the data of a task of type vsa_evolution.
type evolutionData struct {
	Kind        string   `json:"kind"`
	Dimension   int      `json:"dimension"`
	Exemplars   []item   `json:"exemplars"`
	Avoid       []item   `json:"avoid,omitempty"`
	Seed        string   `json:"seed"`
	Population  *int     `json:"population,omitempty"`
	Generations *int     `json:"generations,omitempty"`
	Mutations   *int     `json:"mutations,omitempty"`
	Target      *float64 `json:"target,omitempty"`
	Islands     *int     `json:"islands,omitempty"`
	// FirstIsland is the number of the first island in the whole task, of which this
	// may be a part.
	FirstIsland int      `json:"firstIsland,omitempty"`
	Encoding    encoding `json:"encoding,omitempty"`
}

// evolution is task data that was checked.
type evolution struct {
	space
	data                                        evolutionData
	targets                                     []origin // exemplars, then what to avoid
	seed                                        uint64
	population, generations, mutations, islands int
	units                                       float64
}

// evolved is the result of an evolution.
type evolved struct {
	Vector     shown   `json:"vector"`
	Fitness    float64 `json:"fitness"`
	Generation int     `json:"generation"` // in which the vector came up, 0 = at the start
	Island     int     `json:"island"`
}

// decodeEvolution reads and checks an evolution completely.
func decodeEvolution(data json.RawMessage) (*evolution, error) {
	e := &evolution{}
	if err := wire.DecodeStrictClosed(data, &e.data); err != nil {
		return nil, compute.Below(err)
	}
	var err error
	if e.space, err = newSpace(e.data.Kind, e.data.Dimension); err != nil {
		return nil, err
	}
	if e.seed, err = parseSeed("data.seed", e.data.Seed); err != nil {
		return nil, err
	}
	for _, check := range []func() error{e.data.Encoding.check, e.exemplars, e.sizes, e.bounds} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (e *evolution) exemplars() error {
	if n := len(e.data.Exemplars) + len(e.data.Avoid); n > MaxExemplars {
		return compute.Invalid("data.exemplars", "and data.avoid have %d vectors; at most %d", n, MaxExemplars)
	}
	if len(e.data.Exemplars) == 0 {
		return compute.Invalid("data.exemplars", "is empty; give at least one vector")
	}
	for _, list := range []struct {
		path  string
		items []item
	}{{"data.exemplars", e.data.Exemplars}, {"data.avoid", e.data.Avoid}} {
		for i, it := range list.items {
			path := indexed(list.path, i)
			if it.Name != "" {
				return compute.Invalid(path+".name", "means nothing here")
			}
			o, err := e.origin(path, it)
			if err != nil {
				return err
			}
			e.targets = append(e.targets, o)
		}
	}
	return nil
}

// sizes fills in what was not given.
func (e *evolution) sizes() error {
	for _, f := range []struct {
		name        string
		given       *int
		into        *int
		least, most int
		otherwise   int
	}{
		{"population", e.data.Population, &e.population, 2, MaxPopulation, defaultPopulation},
		{"generations", e.data.Generations, &e.generations, 1, MaxGenerations, defaultGenerations},
		{"mutations", e.data.Mutations, &e.mutations, 1, MaxMutations, min(MaxMutations, 1+e.dim/256)},
		{"islands", e.data.Islands, &e.islands, 1, MaxIslands, 1},
		{"firstIsland", &e.data.FirstIsland, &e.data.FirstIsland, 0, MaxIslands, 0},
	} {
		if f.given == nil {
			*f.into = f.otherwise
			continue
		}
		if *f.given < f.least || *f.given > f.most {
			return compute.Invalid("data."+f.name, "is %d; it must be %d to %d", *f.given, f.least, f.most)
		}
		*f.into = *f.given
	}
	if t := e.data.Target; t != nil && !(*t >= 0 && *t <= 1) {
		return compute.Invalid("data.target", "is %v; a fitness is 0 to 1", *t)
	}
	return nil
}

func (e *evolution) bounds() error {
	words := e.words()
	child := 100 + float64(words*(4+float64(dotUnits*float64(len(e.targets))))) + float64(10*float64(e.mutations))
	for _, o := range e.targets {
		e.units += o.units(e.space)
	}
	e.units = math.Ceil(e.units + float64(child*float64(e.population)*float64(e.generations+1)*float64(e.islands)))
	if held := (len(e.targets) + 2*e.population) * e.bytes(); held > MaxMemory {
		return compute.Invalid("data", "needs %d MiB for vectors; at most %d are allowed", held>>20, MaxMemory>>20).
			WithHint("use fewer vectors, a smaller population or a smaller dimension")
	}
	if e.units > MaxUnits {
		return tooMuch(e.units)
	}
	return nil
}

// Evolution is the engine of evolutions and its planner. It has no state and is
// safe for concurrent use.
type Evolution struct{}

var (
	_ compute.Executor = Evolution{}
	_ compute.Planner  = Evolution{}
	_ compute.Meter    = Evolution{}
)

// Run implements compute.Executor. The metric is the fitness.
func (Evolution) Run(ctx context.Context, data json.RawMessage, report compute.Report) (compute.Output, error) {
	e, err := decodeEvolution(data)
	if err != nil {
		return compute.Output{}, err
	}
	best, err := e.run(ctx, report.Progress)
	if err != nil {
		return compute.Output{}, err
	}
	out := evolved{Vector: e.data.Encoding.show(best.vector), Fitness: e.fitness(best.least), Generation: best.born, Island: best.island}
	text, err := json.Marshal(out)
	return compute.Output{Result: text, Metric: out.Fitness}, err
}

// Check implements compute.Planner.
func (Evolution) Check(data json.RawMessage) (compute.Cost, error) {
	e, err := decodeEvolution(data)
	if err != nil {
		return compute.Cost{}, err
	}
	return compute.Cost{Elements: len(e.targets), Units: e.units, MaxShards: e.islands, Judge: e.judge()}, nil
}

// judge estimates what Validate computes: the targets and their bundle, and how fit
// that and the vector are.
func (e *evolution) judge() float64 {
	units := float64(len(e.targets)) * e.words() * (bundleUnits + 2*dotUnits)
	for _, o := range e.targets {
		units += o.units(e.space)
	}
	return math.Ceil(units)
}

// Split implements compute.Planner: islands know nothing of each other.
func (Evolution) Split(data json.RawMessage, shards int) ([]json.RawMessage, error) {
	e, err := decodeEvolution(data)
	if err != nil {
		return nil, err
	}
	if err := compute.CheckShards(shards, e.islands); err != nil {
		return nil, err
	}
	if shards == 1 {
		return []json.RawMessage{data}, nil
	}
	parts := make([]json.RawMessage, shards)
	for i := range parts {
		own := e.part(i, shards)
		if parts[i], err = json.Marshal(own.data); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// part is part i of n.
func (e *evolution) part(i, n int) *evolution {
	own := *e
	lo, hi := e.islands*i/n, e.islands*(i+1)/n
	own.islands = hi - lo
	own.data.FirstIsland += lo
	own.data.Islands = &own.islands
	return &own
}

// Merge implements compute.Planner: the fittest, of equal ones that of the lowest
// island.
func (Evolution) Merge(data json.RawMessage, partials []json.RawMessage) (json.RawMessage, error) {
	e, err := decodeEvolution(data)
	if err != nil {
		return nil, err
	}
	n := len(partials)
	if err := compute.CheckPartials(n, e.islands); err != nil {
		return nil, err
	}
	scale, err := e.scale()
	if err != nil {
		return nil, err
	}
	best, fittest := -1, 0.0
	for i, raw := range partials {
		out, err := e.part(i, n).read(indexed("shard", i), raw, scale)
		if err != nil {
			return nil, err
		}
		if best < 0 || out.Fitness > fittest {
			best, fittest = i, out.Fitness
		}
	}
	return partials[best], nil
}

// Validate implements compute.Planner: the fitness is computed from the vector, and
// is not below that of the start, which nobody has to evolve.
func (Evolution) Validate(data, result json.RawMessage) error {
	e, err := decodeEvolution(data)
	if err != nil {
		return err
	}
	scale, err := e.scale()
	if err != nil {
		return err
	}
	_, err = e.read("result", result, scale)
	return err
}

// Metric implements compute.Meter.
func (Evolution) Metric(_, result json.RawMessage) (float64, error) {
	var out evolved
	if err := wire.DecodeStrictClosed(result, &out); err != nil {
		return 0, corrupt("result", "is not an evolved vector")
	}
	return out.Fitness, nil
}
