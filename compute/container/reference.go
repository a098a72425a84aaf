package container

import (
	"encoding/json"
	"fmt"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/jobs/template"
)

var _ compute.Referrer = Planner{}

// References implements compute.Referrer: the standard input and each file may be
// objects.
func (Planner) References(data json.RawMessage) (refs []compute.Reference, err error) {
	add := func(begin, end int, field string) {
		if err == nil {
			refs, err = compute.ReferenceAt(refs, data, begin, end, compute.AsBase64, field)
		}
	}
	visit := func(key string, begin, end int) {
		switch key {
		case "stdin":
			add(begin, end, "data.stdin")
		case "files":
			template.Children(data, begin, func(name string, begin, end int) {
				add(begin, end, fmt.Sprintf("data.files[%.40q]", name))
			})
		}
	}
	if compute.MayRefer(data) {
		template.Children(data, 0, visit)
	}
	return refs, err
}
