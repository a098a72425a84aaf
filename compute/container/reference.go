package container

import (
	"encoding/json"
	"fmt"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/jobs/template"
	"github.com/tenzro/tenzro/wire"
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

// explained is why data does not decode: it may name objects that nobody has put in
// place.
func explained(data []byte, err error) error {
	var whole json.RawMessage
	if wire.DecodeStrict(data, &whole) == nil {
		if refs, bad := (Planner{}).References(data); bad == nil && len(refs) > 0 {
			return compute.Unresolved(refs[0])
		}
	}
	return compute.Below(err)
}
