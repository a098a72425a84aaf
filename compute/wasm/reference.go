package wasm

import (
	"encoding/json"
	"fmt"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/jobs/template"
)

var _ compute.Referrer = Planner{}

// References implements compute.Referrer: the module, the standard input and each
// file may be objects. What stands in input is JSON, whatever it looks like.
func (Planner) References(data json.RawMessage) (refs []compute.Reference, err error) {
	if !compute.MayRefer(data) {
		return nil, nil
	}
	add := func(begin, end int, field string) {
		if err == nil {
			refs, err = compute.ReferenceAt(refs, data, begin, end, compute.AsBase64, field)
		}
	}
	template.Children(data, 0, func(key string, begin, end int) {
		switch key {
		case "module", "stdin":
			add(begin, end, "data."+key)
		case "files":
			template.Children(data, begin, func(name string, begin, end int) {
				add(begin, end, fmt.Sprintf("data.files[%.40q]", name))
			})
		}
	})
	return refs, err
}
