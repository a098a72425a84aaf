package workflow

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/template"
	"github.com/tenzro/tenzro/wire"
)

// Check judges the task of a step: its type, and its data when that is whole and
// has no references in it. An error is core.Invalid with the path of the wrong
// field as Op.
type Check func(task core.TaskSpec, whole bool) error

// Plan is a graph that was checked and can be run. It never changes.
type Plan struct {
	steps  []planned
	output int // index of the step, -1 for all sinks
}

// planned is a step ready to run.
type planned struct {
	id      StepID
	spec    core.TaskSpec // Data is the template's text
	data    template.Template
	mapped  bool
	list    [][]byte // of a map over a list in the graph
	over    source   // of a map over a result
	after   []int    // the steps it waits for, each once, in order
	level   int      // 0 for steps that wait for none, else one more than the highest of those
	sink    bool     // nobody waits for it
	retries int
	timeout time.Duration // 0 = none of its own
}

// Len returns how many steps the plan has.
func (p *Plan) Len() int { return len(p.steps) }

// Needs returns the most that any step asks of a node, and the task types of the
// steps, each once, in the order of the steps.
func (p *Plan) Needs() (need core.Requirements, types []core.TaskType) {
	for _, s := range p.steps {
		r := s.spec.Requirements
		need = core.Requirements{MinTier: max(need.MinTier, r.MinTier), CPU: max(need.CPU, r.CPU), MemoryMB: max(need.MemoryMB, r.MemoryMB)}
		if !slices.Contains(types, s.spec.Type) {
			types = append(types, s.spec.Type)
		}
	}
	return need, types
}

// Parse reads a graph strictly and checks everything that can be known before it
// runs, the tasks by check, which may be nil. The error is core.Invalid with the
// path of the wrong field, from the graph's own top, as Op.
func Parse(data json.RawMessage, check Check) (*Plan, error) {
	var whole json.RawMessage
	if err := wire.DecodeStrict(data, &whole); err != nil { // depth counts from the top: the text travels as one
		return nil, err
	}
	var g Graph
	if err := wire.DecodeStrictClosed(data, &g); err != nil {
		return nil, err
	}
	return g.plan(check)
}

// CheckDeadlines refuses a step whose task has a deadline that has passed, or is too far
// away: for whoever takes the graph from its submitter, because later all have passed.
func (p *Plan) CheckDeadlines(now time.Time) error {
	for i, s := range p.steps {
		if err := s.spec.CheckDeadline(now); err != nil {
			return at(fmt.Sprintf("steps[%d].task", i), fmt.Sprintf("step %q: ", s.id), err)
		}
	}
	return nil
}

func (g Graph) plan(check Check) (*Plan, error) {
	if len(g.Steps) == 0 {
		return nil, bad("steps", "the workflow has no steps")
	}
	if len(g.Steps) > MaxSteps {
		return nil, bad("steps", "the workflow has %d steps; it has at most %d", len(g.Steps), MaxSteps)
	}
	index, err := g.index()
	if err != nil {
		return nil, err
	}
	p := &Plan{steps: make([]planned, len(g.Steps)), output: -1}
	edges := 0
	for i, s := range g.Steps {
		if p.steps[i], err = s.plan(check, index); err != nil {
			return nil, at(fmt.Sprintf("steps[%d]", i), fmt.Sprintf("step %q: ", s.ID), err)
		}
		if edges += len(p.steps[i].after); edges > MaxEdges {
			return nil, bad("steps", "the steps wait for each other more than %d times", MaxEdges)
		}
	}
	if err := p.order(); err != nil {
		return nil, err
	}
	if g.Output != "" {
		out, known := index[g.Output]
		if !known {
			return nil, bad("output", "the output is step %.64q, and there is no such step", g.Output)
		}
		p.output = out
	}
	return p, nil
}

// index returns where each step is.
func (g Graph) index() (map[StepID]int, error) {
	index := make(map[StepID]int, len(g.Steps))
	for i, s := range g.Steps {
		field := fmt.Sprintf("steps[%d].id", i)
		if s.ID == "" {
			return nil, bad(field, "step %d has no id", i)
		}
		if _, err := core.ParseTaskID(string(s.ID)); err != nil { // the same alphabet and length
			return nil, bad(field, "step id %.40q must be 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'", s.ID)
		}
		if first, twice := index[s.ID]; twice {
			return nil, bad(field, "step id %q is used twice: by steps %d and %d", s.ID, first, i)
		}
		index[s.ID] = i
	}
	return index, nil
}

// plan checks one step; errors are relative to it.
func (s Step) plan(check Check, index map[StepID]int) (planned, error) {
	out := planned{id: s.ID, retries: s.Retries, timeout: time.Duration(s.TimeoutMS) * time.Millisecond}
	if err := s.bounds(); err != nil {
		return out, err
	}
	var err error
	if out.spec, err = s.task(); err != nil {
		return out, at("reduce.operations", "", bad("", "the operations are not JSON: %v", err))
	}
	in := "task."
	if s.Reduce != nil {
		in = "reduce."
		if err := template.CheckPath(s.Reduce.Path); err != nil {
			return out, at("reduce.path", "", err)
		}
	}
	switch err := out.spec.Validate(); {
	case err != nil:
		return out, at(strings.TrimSuffix(in, "."), "", err)
	case out.spec.Type == Type:
		return out, bad(in+"type", "a step cannot be a workflow itself").WithHint("put its steps into this workflow")
	}
	if out.data, err = template.Parse(out.spec.Data); err != nil {
		return out, at(in+"data", "", err)
	}
	if s.Map == nil && out.spec.Type == mapType {
		out.data = out.data.Closed() // the items are the map's own
	}
	if err := out.mapOver(s.Map); err != nil {
		return out, at("map", "", err)
	}
	if err := out.wait(s, in, index); err != nil {
		return out, err
	}
	return out, out.check(check, in)
}

func (s Step) bounds() error {
	switch {
	case s.Task == nil && s.Reduce == nil:
		return bad("task", "it has no task").WithHint(`give it "task" or "reduce"`)
	case s.Task != nil && s.Reduce != nil:
		return bad("reduce", "it has both a task and a reduce").WithHint("make the reduce a step of its own")
	case s.Reduce != nil && s.Map != nil:
		return bad("map", "a reduce works on the whole list and cannot be mapped").WithHint(`use "task" to do it for each element`)
	case s.Reduce != nil && s.Reduce.From == "":
		return bad("reduce.from", "reduce.from is missing").WithHint("name the step whose results are reduced")
	case s.Reduce != nil && len(s.Reduce.Operations) == 0:
		return bad("reduce.operations", "reduce.operations is missing").WithHint(`write for example "operations":["sum"]`)
	case s.Retries < 0 || s.Retries > MaxRetries:
		return bad("retries", "retries is %d; it must be 0 to %d", s.Retries, MaxRetries)
	case s.TimeoutMS < 0 || s.TimeoutMS > core.MaxTimeout.Milliseconds():
		return bad("timeoutMs", "timeoutMs is %d; it must be 0 to %d", s.TimeoutMS, core.MaxTimeout.Milliseconds())
	}
	return nil
}

// mapOver takes the list of a map, or where it comes from.
func (s *planned) mapOver(m *Map) error {
	if m == nil {
		return nil
	}
	s.mapped = true
	if len(m.Over) == 0 {
		return bad("over", "map.over is missing").WithHint(`give it a list, or {"from":"step"}`)
	}
	list, n, isList := template.Elements(m.Over, MaxElements)
	switch {
	case n > MaxElements:
		return bad("over", "the list has %d elements; a map takes at most %d", n, MaxElements).WithHint("give each job several elements")
	case isList:
		s.list = list
		return nil
	}
	if err := wire.DecodeStrictClosed(m.Over, &s.over); err != nil {
		if refs, wrong := compute.ReferenceAt(nil, m.Over, 0, len(m.Over), compute.AsJSON, "over"); wrong == nil && len(refs) > 0 {
			return compute.Unresolved(refs[0])
		}
		return at("over", "", err)
	}
	if s.over.From == "" {
		return bad("over.from", "map.over names no step").WithHint(`give it a list, or {"from":"step"}`)
	}
	if err := template.CheckPath(s.over.Path); err != nil {
		return at("over.path", "", err)
	}
	return nil
}

// wait collects what the step waits for: said, and implied by references.
func (s *planned) wait(step Step, in string, index map[StepID]int) error {
	add := func(field, verb string, id StepID) error {
		i, known := index[id]
		switch {
		case id == s.id:
			return bad(field, "it %s itself", verb)
		case !known:
			return bad(field, "it %s step %.64q, and there is no such step", verb, id)
		case !slices.Contains(s.after, i):
			s.after = append(s.after, i)
		}
		return nil
	}
	for i, id := range step.After {
		if i >= MaxSteps {
			return bad("after", "it names %d steps; the workflow has at most %d", len(step.After), MaxSteps)
		}
		if err := add(fmt.Sprintf("after[%d]", i), "waits for", id); err != nil {
			return err
		}
	}
	field := in + "data"
	if step.Reduce != nil {
		field = "reduce.from"
	}
	for _, id := range s.data.Sources() {
		if err := add(field, "refers to", StepID(id)); err != nil {
			return err
		}
	}
	if s.over.From != "" {
		if err := add("map.over.from", "maps over", s.over.From); err != nil {
			return err
		}
	}
	for _, h := range s.data.Holes {
		if h.Local() && !s.mapped {
			return bad(field, "$item and $index mean something only in a step with a map")
		}
	}
	slices.Sort(s.after)
	return nil
}

// check judges the task as far as its data is known: whole, or for the first
// element of a list.
func (s *planned) check(check Check, in string) error {
	spec, whole := s.spec, len(s.data.Sources()) == 0
	if check == nil {
		return nil
	}
	if whole && len(s.data.Holes) > 0 {
		if whole = len(s.list) > 0; whole {
			data, err := s.data.Element(s.list[0], 0)
			if err != nil {
				return bad(in+"data", "%v", err)
			}
			spec.Data = data
		}
	}
	return at(strings.TrimSuffix(in, "."), "", check(spec, whole))
}

// order finds cycles, and gives every step its level and whether it is a sink.
func (p *Plan) order() error {
	const entered, left = 1, 2
	state := make([]int, len(p.steps))
	var path []int
	var visit func(i int) error
	visit = func(i int) error {
		state[i] = entered
		path = append(path, i)
		for _, j := range p.steps[i].after {
			switch state[j] {
			case entered:
				return p.cycle(path[slices.Index(path, j):])
			case 0:
				if err := visit(j); err != nil {
					return err
				}
			}
			p.steps[i].level = max(p.steps[i].level, p.steps[j].level+1)
			p.steps[j].sink = false
		}
		path = path[:len(path)-1]
		state[i] = left
		return nil
	}
	for i := range p.steps {
		p.steps[i].sink = true
	}
	for i := range p.steps {
		if state[i] == 0 {
			if err := visit(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// cycle names a ring of steps, each of which waits for the next.
func (p *Plan) cycle(ring []int) error {
	const shown = 8
	var names []string
	for _, i := range ring[:min(shown, len(ring))] {
		names = append(names, string(p.steps[i].id))
	}
	if len(ring) > shown {
		names = append(names, fmt.Sprintf("... (%d steps)", len(ring)))
	}
	names = append(names, string(p.steps[ring[0]].id))
	return bad(fmt.Sprintf("steps[%d]", ring[0]), "the steps wait for each other in a circle: %s", strings.Join(names, " -> ")).
		WithHint("take one of these dependencies out")
}

func bad(field, format string, args ...any) *core.Error {
	return core.Errorf(core.Invalid, field, format, args...)
}

// at places an error under a field and says whose it is; nil stays nil.
func at(field, whose string, err error) error {
	if err == nil {
		return nil
	}
	e := bad(field, "%s%w", whose, err)
	if inner := asError(err); inner != nil {
		e.Hint = inner.Hint
		if inner.Op != "" && inner.Op != "path" {
			e.Op = field + "." + inner.Op
		}
	}
	return e
}
