package mapper

import (
	"encoding/json"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/jobs/template"
	"github.com/tenzro/tenzro/wire"
)

var _ compute.Referrer = (*Mapper)(nil)

// References implements compute.Referrer: what is mapped over may be an object, and
// so may what the inner type says of its own data.
func (m *Mapper) References(data json.RawMessage) (refs []compute.Reference, err error) {
	if !compute.MayRefer(data) {
		return nil, nil
	}
	template.Children(data, 0, func(key string, begin, end int) {
		if err != nil {
			return
		}
		switch key {
		case "task":
			var inner []compute.Reference
			inner, err = m.innerReferences(data, begin)
			refs = append(refs, inner...)
		case "over":
			refs, err = overReferences(refs, data, begin)
		}
	})
	return refs, err
}

// innerReferences asks the planner of the inner task, which begins at byte at.
func (m *Mapper) innerReferences(data json.RawMessage, at int) ([]compute.Reference, error) {
	kind, lo, hi := template.TaskAt(data, at)
	planner, is := m.planners[kind].(compute.Referrer)
	if !is {
		return nil, nil
	}
	const path = "data.task.data"
	refs, err := planner.References(data[lo:hi])
	if err != nil {
		return nil, under(path, err)
	}
	return compute.Within(refs, lo, path), nil
}

func overReferences(refs []compute.Reference, data json.RawMessage, at int) (_ []compute.Reference, err error) {
	template.Children(data, at, func(key string, begin, end int) {
		form := compute.AsText
		switch key {
		case "list":
			form = compute.AsJSON
		case "lines", "csv":
		default:
			return
		}
		if err == nil {
			refs, err = compute.ReferenceAt(refs, data, begin, end, form, "data.over."+key)
		}
	})
	return refs, err
}

// explained is why data does not decode: it may name objects that nobody has put in
// place.
func (m *Mapper) explained(data json.RawMessage, err error) error {
	var whole json.RawMessage
	if wire.DecodeStrict(data, &whole) == nil {
		if refs, bad := m.References(data); bad == nil && len(refs) > 0 {
			return compute.Unresolved(refs[0])
		}
	}
	return compute.Below(err)
}
