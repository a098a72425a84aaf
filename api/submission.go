package api

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// beside is a task whose limits stand beside its data instead of in it.
type beside struct {
	core.TaskSpec
	Limits json.RawMessage `json:"limits"`
}

// decodeTask reads a task. Limits beside the data are moved into it, for the
// planner of its type to judge: there is one form of a task behind this door.
func decodeTask(b []byte) (core.TaskSpec, error) {
	var spec core.TaskSpec
	err := wire.DecodeStrictClosed(b, &spec)
	var unknown *core.Error
	if err == nil || !errors.As(err, &unknown) || unknown.Op != "limits" {
		return spec, err
	}
	var with beside
	if err := wire.DecodeStrictClosed(b, &with); err != nil {
		return spec, err
	}
	return with.inside()
}

// inside puts the limits in front of the other fields of the data. When the data
// has limits too, the planner refuses the repeated name.
func (b beside) inside() (core.TaskSpec, error) {
	spec, data := b.TaskSpec, bytes.TrimSpace(b.Data)
	if len(data) < 2 || data[0] != '{' {
		return spec, core.Errorf(core.Invalid, "limits", "limits are given, and data is no object that could have them").
			WithHint("leave limits out")
	}
	rest := bytes.TrimSpace(data[1:])
	joined := append([]byte(`{"limits":`), b.Limits...)
	if rest[0] != '}' {
		joined = append(joined, ',')
	}
	spec.Data = append(joined, rest...)
	return spec, nil
}
