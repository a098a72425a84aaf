package workflow

import (
	"encoding/json"
	"fmt"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/jobs/template"
)

var _ compute.Referrer = Planner{}

// References implements compute.Referrer: the list of a map may be an object, and so
// may what the type of a step's task says of its own data.
func (p Planner) References(data json.RawMessage) (refs []compute.Reference, err error) {
	if !compute.MayRefer(data) {
		return nil, nil
	}
	add := func(more []compute.Reference, failed error) {
		if refs, err = append(refs, more...), failed; err == nil && len(refs) > compute.MaxReferences {
			err = bad("data.steps", "the steps name objects %d times; at most %d are allowed", len(refs), compute.MaxReferences)
		}
	}
	template.Children(data, 0, func(key string, begin, _ int) {
		step := 0
		if key != "steps" {
			return
		}
		template.Children(data, begin, func(_ string, begin, _ int) {
			if err == nil {
				add(p.ofStep(data, begin, fmt.Sprintf("data.steps[%d]", step)))
			}
			step++
		})
	})
	return refs, err
}

// ofStep returns the references of the step that begins at byte begin.
func (p Planner) ofStep(data json.RawMessage, begin int, path string) (refs []compute.Reference, err error) {
	template.Children(data, begin, func(key string, begin, _ int) {
		if err != nil {
			return
		}
		switch key {
		case "task":
			var more []compute.Reference
			more, err = p.ofTask(data, begin, path+".task")
			refs = append(refs, more...)
		case "map":
			template.Children(data, begin, func(key string, begin, end int) {
				if key == "over" && err == nil {
					refs, err = compute.ReferenceAt(refs, data, begin, end, compute.AsJSON, path+".map.over")
				}
			})
		}
	})
	return refs, err
}

// ofTask asks the planner of the task that begins at byte begin.
func (p Planner) ofTask(data json.RawMessage, begin int, path string) ([]compute.Reference, error) {
	kind, lo, hi := template.TaskAt(data, begin)
	planner, is := p.Tasks[kind].(compute.Referrer)
	if !is {
		return nil, nil
	}
	refs, err := planner.References(data[lo:hi])
	if err != nil {
		return nil, at(path, "", err)
	}
	return compute.Within(refs, lo, path+".data"), nil
}
