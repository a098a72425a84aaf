package compute

import (
	"errors"

	"github.com/tenzro/tenzro/core"
)

// Below puts an error that package wire found in the data of a task under "data",
// with the hint it has: mostly the field that was meant. The error is core.Invalid
// with the path of the field, from "data" on, as Op.
func Below(err error) error {
	path, hint := "data", ""
	var e *core.Error
	if errors.As(err, &e) {
		hint = e.Hint
		if e.Op != "" && e.Op != "decode" {
			path += "." + e.Op
		}
	}
	return core.Errorf(core.Invalid, path, "%s: %w", path, err).WithHint(hint)
}
