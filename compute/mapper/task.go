package mapper

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/template"
	"github.com/tenzro/tenzro/wire"
)

// Bounds of a task.
const (
	// MaxItems is how many items a task has at most.
	MaxItems = 1_000_000
	// MaxFilled bounds the data of all items together, put into the template: who
	// plans the task looks at all of it.
	MaxFilled = 32 << 20
	// MaxUnits caps the estimated work of a whole task: some 17 minutes of one core.
	MaxUnits = 1e12
	// MaxJudge caps what it takes to judge the results of all items: some seconds of
	// one core, which whoever waits for the result waits for too.
	MaxJudge = 2e9
	// itemUnits is what an item costs besides its own task.
	itemUnits = 2000
)

// taskCompute is the type whose operations reduce the results.
const taskCompute core.TaskType = "compute"

// mapData is the data of a task.
type mapData struct {
	Task    innerData       `json:"task"`
	Over    overData        `json:"over"`
	Combine json.RawMessage `json:"combine,omitempty"`
	// From is the number of the first item in the whole task, of which this may be a
	// part; and Partial makes the result the list of results whatever combine says.
	From    int  `json:"from,omitempty"`
	Partial bool `json:"partial,omitempty"`
}

// innerData is what is done for each item.
type innerData struct {
	Type core.TaskType   `json:"type"`
	Data json.RawMessage `json:"data"`
}

// task is data that was checked.
type task struct {
	data    mapData
	inner   compute.Executor
	planner compute.Planner
	text    template.Template
	items   [][]byte
	reduce  json.RawMessage // operations; nil: the results are listed or joined
	concat  bool            // the outputs of programs are joined

	// program is the planner of programs, nil of others; short is text without the
	// code, saved how much shorter. For other types it is text itself.
	program compute.Program
	short   template.Template
	saved   int
	units   float64
	judge   float64 // units that judging the items' results takes
}

// under puts an error below a field of the data.
func under(path string, err error) error {
	var e *core.Error
	if !errors.As(err, &e) {
		return core.Errorf(core.Invalid, path, "%s: %w", path, err)
	}
	return core.Errorf(core.Invalid, path, "%s: %w", path, err).WithHint(e.Hint)
}

// decode reads a task and checks all but the items' own data.
func (m *Mapper) decode(data json.RawMessage) (*task, error) {
	t := &task{}
	if err := wire.DecodeStrictClosed(data, &t.data); err != nil {
		return nil, m.explained(data, err)
	}
	inner := t.data.Task
	var known bool
	if t.planner, known = m.planners[inner.Type]; !known {
		return nil, compute.Invalid("data.task.type", "%.32q cannot be mapped", string(inner.Type)).WithHint(compute.TypesHint(m.planners))
	}
	t.inner = m.executors[inner.Type]
	if len(inner.Data) == 0 {
		return nil, compute.Invalid("data.task.data", "is missing")
	}
	var err error
	if t.text, err = template.Parse(inner.Data); err != nil {
		return nil, under("data.task.data", err)
	}
	if names := t.text.Sources(); len(names) > 0 {
		return nil, compute.Invalid("data.task.data", "refers to %.40q; here only $item and $index mean something", names[0])
	}
	if t.data.From < 0 || t.data.From > MaxItems {
		return nil, compute.Invalid("data.from", "is %d; it must be 0 to %d", t.data.From, MaxItems)
	}
	if t.items, err = t.data.Over.items(); err != nil {
		return nil, err
	}
	if err := t.carried(); err != nil {
		return nil, err
	}
	if err := t.outline(); err != nil {
		return nil, under("data.task.data", err)
	}
	return t, t.combine()
}

// outline prepares for judging many items: a program has its code in each.
func (t *task) outline() (err error) {
	t.short = t.text
	var is bool
	if t.program, is = t.planner.(compute.Program); !is {
		return nil
	}
	short := t.program.Outline(t.data.Task.Data)
	t.saved = len(t.data.Task.Data) - len(short)
	t.short, err = template.Parse(short)
	return err
}

// combine reads how the results are put together.
func (t *task) combine() error {
	if t.data.Combine == nil {
		return nil
	}
	var name string
	if wire.DecodeStrict(t.data.Combine, &name) == nil {
		switch t.concat = name == "concat"; {
		case t.concat && t.program == nil:
			return compute.Invalid("data.combine", "%q joins the outputs of programs; tasks of type %q have none", name, string(t.data.Task.Type)).WithHint(`use "list"`)
		case !t.concat && name != "list":
			return compute.Invalid("data.combine", "%.32q is unknown", name).WithHint(`use "list", "concat", or {"reduce":["sum"]}`)
		}
		return nil
	}
	var how struct {
		Reduce json.RawMessage `json:"reduce"`
	}
	if err := wire.DecodeStrictClosed(t.data.Combine, &how); err != nil || how.Reduce == nil {
		return compute.Invalid("data.combine", "must be \"list\", \"concat\" or an object with reduce").WithHint(`write for example {"reduce":["sum"]}`)
	}
	if t.program != nil {
		return compute.Invalid("data.combine.reduce", "is for numbers, and the result of a program is none").WithHint(`use "concat" and a step of a workflow that reduces`)
	}
	t.reduce = how.Reduce
	return nil
}

// item returns the data of the inner task for one item.
func (t *task) item(i int) (json.RawMessage, error) { return t.fill(t.text, i) }

// judged returns what the planner is shown of the data for one item: all of the
// first, and of the others all but the code, which is the same.
func (t *task) judged(i int) (json.RawMessage, error) {
	if i == 0 {
		return t.item(i)
	}
	data, err := t.fill(t.short, i)
	if err == nil && len(data)+t.saved > core.MaxTaskBytes {
		err = core.Errorf(core.Exhausted, "data", "its data would have more than %d bytes", core.MaxTaskBytes)
	}
	return data, err
}

func (t *task) fill(text template.Template, i int) (json.RawMessage, error) {
	data, err := text.Element(t.items[i], t.data.From+i)
	if err == nil {
		var whole json.RawMessage
		err = wire.DecodeStrict(data, &whole)
	}
	return data, err
}

// check judges every item's data, and what all of it costs.
func (m *Mapper) check(t *task) error {
	if t.short.Fixed() > MaxFilled/len(t.items) { // refused below too, but late
		return tooLong()
	}
	filled := 0
	for i := range t.items {
		data, err := t.judged(i)
		if err != nil {
			return under("data.task.data", fmt.Errorf("item %d: %w", t.data.From+i, err))
		}
		if filled += len(data); filled > MaxFilled {
			return tooLong()
		}
		cost, err := t.planner.Check(data)
		if err != nil {
			return under("data.task.data", fmt.Errorf("item %d: %w", t.data.From+i, err))
		}
		t.units, t.judge = t.units+itemUnits+cost.Units, t.judge+cost.Judge
	}
	if t.units = math.Ceil(t.units); t.units > MaxUnits {
		return compute.Invalid("data", "costs about %.0f units; at most %.0f are allowed", t.units, float64(MaxUnits)).WithHint("split the work over several tasks")
	}
	if t.judge > MaxJudge {
		return compute.Invalid("data", "has results that take about %.0f units to judge; at most %.0f are allowed", t.judge, float64(MaxJudge)).WithHint("split the work over several tasks, or do more in each item")
	}
	return m.checkReduce(t)
}

func tooLong() error {
	return compute.Invalid("data.task.data", "for all items together has more than %d MiB", MaxFilled>>20).WithHint("make the template or the items smaller")
}

// checkReduce tries the operations on as many numbers as there are items, but for
// what depends on them.
func (m *Mapper) checkReduce(t *task) error {
	if t.reduce == nil {
		return nil
	}
	zeros := make([]byte, 0, 2*len(t.items)+2)
	zeros = append(zeros, '[')
	for range t.items {
		zeros = append(zeros, '1', ',')
	}
	zeros[len(zeros)-1] = ']'
	if _, err := m.planners[taskCompute].Check(reduceData(zeros, t.reduce)); err != nil {
		return under("data.combine.reduce", err)
	}
	return nil
}

// reduceData is the data of the task that reduces a list of results.
func reduceData(results []byte, operations json.RawMessage) json.RawMessage {
	out := append([]byte(`{"input":`), results...)
	out = append(append(out, `,"operations":`...), operations...)
	return append(out, '}')
}
