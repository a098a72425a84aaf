package api

import (
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// TestDecodeTask has limits beside the data and in it.
func TestDecodeTask(t *testing.T) {
	for name, c := range map[string]struct{ body, data, field string }{
		"none":             {`{"type":"wasm","data":{"a":1}}`, `{"a":1}`, ""},
		"inside":           {`{"type":"wasm","data":{"limits":{"fuel":1}}}`, `{"limits":{"fuel":1}}`, ""},
		"beside":           {`{"type":"wasm","data":{"a":1},"limits":{"fuel":1}}`, `{"limits":{"fuel":1},"a":1}`, ""},
		"before":           {`{"limits":{"fuel":1},"type":"wasm","data": { "a":1 } }`, `{"limits":{"fuel":1},"a":1 }`, ""},
		"empty data":       {`{"type":"wasm","data":{ },"limits":{}}`, `{"limits":{}}`, ""},
		"list":             {`{"type":"wasm","data":[1],"limits":{}}`, "", "limits"},
		"no data":          {`{"type":"wasm","limits":{}}`, "", "limits"},
		"unknown as well":  {`{"type":"wasm","data":{},"limits":{},"other":1}`, "", "other"},
		"twice":            {`{"type":"wasm","data":{},"limits":{},"limits":{}}`, "", "limits"},
		"unknown, not it":  {`{"type":"wasm","data":{},"limit":{}}`, "", "limit"},
		"both, for others": {`{"type":"wasm","data":{"limits":{}},"limits":{}}`, `{"limits":{},"limits":{}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			spec, err := decodeTask([]byte(c.body))
			if c.field != "" {
				var e *core.Error
				if !asCore(err, &e) || !strings.HasPrefix(e.Op, c.field) {
					t.Errorf("%v, want an error about %s", err, c.field)
				}
				return
			}
			if err != nil || string(spec.Data) != c.data || spec.Type != "wasm" {
				t.Errorf("data %s, %v, want %s", spec.Data, err, c.data)
			}
		})
	}
}

func asCore(err error, to **core.Error) bool {
	e, ok := err.(*core.Error)
	*to = e
	return ok
}
