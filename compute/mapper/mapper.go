package mapper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/template"
	"github.com/tenzro/tenzro/wire"
)

// Type is the task type this engine runs.
const Type core.TaskType = "map"

// recheckUnits is up to what cost Validate runs a task again: some 200 us.
const recheckUnits = 200_000

// Mapper is the engine and its planner. It is safe for concurrent use.
type Mapper struct {
	planners  map[core.TaskType]compute.Planner
	executors map[core.TaskType]compute.Executor
}

var (
	_ compute.Executor = (*Mapper)(nil)
	_ compute.Planner  = (*Mapper)(nil)
	_ compute.Meter    = (*Mapper)(nil)
	_ compute.Needer   = (*Mapper)(nil)
	_ compute.Writer   = (*Mapper)(nil)
)

// New returns an engine for tasks of the types that are in both maps, whose results
// must depend on their data only. "compute" has to be one of them.
func New(planners map[core.TaskType]compute.Planner, executors map[core.TaskType]compute.Executor) (*Mapper, error) {
	m := &Mapper{planners: map[core.TaskType]compute.Planner{}, executors: map[core.TaskType]compute.Executor{}}
	for t, p := range planners {
		if x, both := executors[t]; both && t != Type {
			m.planners[t], m.executors[t] = p, x
		}
	}
	if m.planners[taskCompute] == nil {
		return nil, core.Errorf(core.Internal, "mapper", "there is no engine of type %q to reduce results with", taskCompute)
	}
	return m, nil
}

// Run implements compute.Executor: the items one after the other.
func (m *Mapper) Run(ctx context.Context, data json.RawMessage, report compute.Report) (compute.Output, error) {
	t, err := m.decode(data)
	if err != nil {
		return compute.Output{}, err
	}
	results, metric := []byte{'['}, 1.0
	n := float64(len(t.items))
	for i := range t.items {
		out, err := t.run(ctx, i, report.Share(float64(i)/n, float64(i+1)/n))
		if err != nil {
			return compute.Output{}, ofItem(t.data.From+i, err)
		}
		if i > 0 {
			results = append(results, ',')
		}
		if results = append(results, out.Result...); len(results) >= core.MaxTaskBytes {
			return compute.Output{}, &core.Failure{Reason: core.ReasonExecutionFailed,
				Message: fmt.Sprintf("the results of %d of %d items have more than %d bytes together", i+1, len(t.items), core.MaxTaskBytes)}
		}
		metric = min(metric, out.Metric)
	}
	results = append(results, ']')
	if t.listed() {
		return compute.Output{Result: results, Metric: metric}, nil
	}
	combined, err := m.combine(ctx, t, results)
	return compute.Output{Result: combined, Metric: 1}, err
}

// Writes implements compute.Writer: a map of programs writes what they do, one item
// after the other.
func (m *Mapper) Writes(data json.RawMessage) bool {
	t, err := m.decode(data)
	return err == nil && t.program != nil
}

// listed reports whether the result is the list of results.
func (t *task) listed() bool { return t.reduce == nil && !t.concat || t.data.Partial }

// combine makes one result of the list of all.
func (m *Mapper) combine(ctx context.Context, t *task, results []byte) (json.RawMessage, error) {
	if t.concat {
		return t.join(results)
	}
	return m.reduce(ctx, t, results)
}

// join puts the outputs of programs behind each other, as the base64 that can be
// the input of another.
func (t *task) join(results []byte) (json.RawMessage, error) {
	list, _, _ := template.Elements(results, MaxItems)
	all := []byte{} // "" and not null
	for i, one := range list {
		out, err := t.program.Output(one)
		if err != nil {
			return nil, ofItem(t.data.From+i, err)
		}
		all = append(all, out...)
	}
	return json.Marshal(all) // shorter than the list was
}

func (t *task) run(ctx context.Context, i int, report compute.Report) (compute.Output, error) {
	if err := ctx.Err(); err != nil {
		return compute.Output{}, err
	}
	data, err := t.item(i)
	if err != nil {
		return compute.Output{}, core.Errorf(core.Invalid, "data.task.data", "%w", err)
	}
	return t.inner.Run(ctx, data, report)
}

// reduce puts the results through operations.
func (m *Mapper) reduce(ctx context.Context, t *task, results []byte) (json.RawMessage, error) {
	out, err := m.executors[taskCompute].Run(ctx, reduceData(results, t.reduce), compute.Report{})
	if errors.Is(err, core.Invalid) {
		err = &core.Failure{Reason: core.ReasonInvalidInput, Message: "reducing the results: " + err.Error()}
	}
	return out.Result, err
}

// ofItem says which item an error is of.
func ofItem(i int, err error) error {
	var f *core.Failure
	if errors.As(err, &f) {
		return &core.Failure{Reason: f.Reason, Message: fmt.Sprintf("item %d: %s", i, f.Message)}
	}
	if errors.Is(err, core.Invalid) {
		return &core.Failure{Reason: core.ReasonInvalidInput, Message: fmt.Sprintf("item %d: %v", i, err)}
	}
	return err
}

// Check implements compute.Planner: every item's data is checked.
func (m *Mapper) Check(data json.RawMessage) (compute.Cost, error) {
	t, err := m.decode(data)
	if err != nil {
		return compute.Cost{}, err
	}
	if err := m.check(t); err != nil {
		return compute.Cost{}, err
	}
	return compute.Cost{Elements: len(t.items), Units: t.units, MaxShards: t.maxShards(), Judge: t.judging()}, nil
}

// Needs implements compute.Needer: what the items need.
func (m *Mapper) Needs(data json.RawMessage) core.TaskType {
	var t struct {
		Task struct {
			Type core.TaskType   `json:"type"`
			Data json.RawMessage `json:"data"`
		} `json:"task"`
	}
	if json.Unmarshal(data, &t) != nil {
		return ""
	}
	return compute.NeedsOf(m.planners[t.Task.Type], t.Task.Data)
}

// judging estimates what Validate computes.
func (t *task) judging() float64 {
	switch {
	case t.listed():
		return t.judge
	case t.reduce != nil && t.units <= recheckUnits:
		return t.units
	}
	return 0
}

func (t *task) maxShards() int { return min(len(t.items), core.MaxParallelism) }

// Split implements compute.Planner: a part has a list of items, whatever they came
// from, and gives the list of their results.
func (m *Mapper) Split(data json.RawMessage, shards int) ([]json.RawMessage, error) {
	t, err := m.decode(data)
	if err != nil {
		return nil, err
	}
	if err := compute.CheckShards(shards, t.maxShards()); err != nil {
		return nil, err
	}
	if shards == 1 {
		return []json.RawMessage{data}, nil
	}
	parts := make([]json.RawMessage, shards)
	for i := range parts {
		lo, hi := t.bound(i, shards), t.bound(i+1, shards)
		parts[i] = t.part(lo, hi)
		if len(parts[i]) > core.MaxTaskBytes {
			return nil, core.Errorf(core.Invalid, "data", "part %d of the task has %d bytes; at most %d can be sent", i, len(parts[i]), core.MaxTaskBytes)
		}
	}
	return parts, nil
}

// bound returns where part i of n begins.
func (t *task) bound(i, n int) int { return len(t.items) * i / n }

// part is the data of items lo to hi, with the texts as they were written.
func (t *task) part(lo, hi int) json.RawMessage {
	out := append([]byte(`{"task":{"type":`), quoted(string(t.data.Task.Type))...)
	out = append(append(out, `,"data":`...), t.data.Task.Data...)
	out = append(append(out, `},"over":{"list":`...), listOf(t.items[lo:hi])...)
	return fmt.Appendf(out, `},"from":%d,"partial":true}`, t.data.From+lo)
}

// Merge implements compute.Planner.
func (m *Mapper) Merge(data json.RawMessage, partials []json.RawMessage) (json.RawMessage, error) {
	t, err := m.decode(data)
	if err != nil {
		return nil, err
	}
	n := len(partials)
	if err := compute.CheckPartials(n, t.maxShards()); err != nil {
		return nil, err
	}
	if n == 1 {
		return partials[0], m.Validate(data, partials[0])
	}
	results := []byte{'['}
	for i, raw := range partials {
		name, want := fmt.Sprintf("shard[%d]", i), t.bound(i+1, n)-t.bound(i, n)
		if _, err := resultsOf(name, raw, want); err != nil {
			return nil, err
		}
		if results = append(append(results, raw[1:len(raw)-1]...), ','); len(results) > core.MaxTaskBytes {
			return nil, &core.Failure{Reason: core.ReasonExecutionFailed, Message: fmt.Sprintf("the results have more than %d bytes together", core.MaxTaskBytes)}
		}
	}
	results[len(results)-1] = ']'
	if t.listed() {
		return results, nil
	}
	return m.combine(context.Background(), t, results)
}

// resultsOf takes a list of results apart. Only the form that Run writes counts:
// without white space between them.
func resultsOf(name string, text json.RawMessage, want int) ([][]byte, error) {
	if !json.Valid(text) || len(text) > core.MaxTaskBytes {
		return nil, core.Errorf(core.Corrupt, name, "%s is not JSON that can be delivered", name)
	}
	list, n, isList := template.Elements(text, MaxItems)
	if !isList || n != want || !bytes.Equal(listOf(list), text) {
		return nil, core.Errorf(core.Corrupt, name, "%s is not a list of %d results", name, want)
	}
	return list, nil
}

// Validate implements compute.Planner: every result in a list is judged by its own
// planner. Of a reduced value nothing is left to judge but its form, unless the
// task is so small that it is run again.
func (m *Mapper) Validate(data, result json.RawMessage) error {
	t, err := m.decode(data)
	if err != nil {
		return err
	}
	switch {
	case t.concat && !t.data.Partial:
		return joined(result)
	case !t.listed():
		return m.again(t, data, result)
	}
	list, err := resultsOf("result", result, len(t.items))
	if err != nil {
		return err
	}
	for i, one := range list {
		own, err := t.judged(i)
		if err == nil {
			err = t.planner.Validate(own, one)
		}
		if err != nil {
			return core.Errorf(core.Corrupt, "result", "item %d: %w", t.data.From+i, err)
		}
	}
	return nil
}

// joined judges outputs that a worker put behind each other. No program runs where
// results are judged.
func joined(result json.RawMessage) error {
	var all []byte
	err := wire.DecodeStrict(result, &all)
	if again, _ := json.Marshal(all); err != nil || all == nil || len(result) > core.MaxTaskBytes || !bytes.Equal(again, result) {
		return core.Errorf(core.Corrupt, "result", "result is not the base64 of outputs")
	}
	return nil
}

// again judges a reduced value.
func (m *Mapper) again(t *task, data, result json.RawMessage) error {
	if !json.Valid(result) || len(result) > core.MaxTaskBytes {
		return core.Errorf(core.Corrupt, "result", "result is not JSON that can be delivered")
	}
	if err := m.check(t); err != nil || t.units > recheckUnits {
		return err
	}
	out, err := m.Run(context.Background(), data, compute.Report{})
	if err != nil || !bytes.Equal(out.Result, result) {
		return core.Errorf(core.Corrupt, "result", "result is not what the task gives")
	}
	return nil
}

// Metric implements compute.Meter: the least of the items' own, 1 once they are
// reduced.
func (m *Mapper) Metric(data, result json.RawMessage) (float64, error) {
	t, err := m.decode(data)
	if err != nil || !t.listed() {
		return 1, err
	}
	metric := 1.0
	if _, differs := t.planner.(compute.Meter); !differs {
		return metric, nil
	}
	list, err := resultsOf("result", result, len(t.items))
	for i := 0; i < len(list) && err == nil; i++ {
		var own json.RawMessage
		var one float64
		if own, err = t.judged(i); err == nil {
			one, err = compute.MetricOf(t.planner, own, list[i])
		}
		metric = min(metric, one)
	}
	return metric, err
}
