package compute

import (
	"errors"
	"fmt"

	"github.com/tenzro/tenzro/core"
)

// Invalid refuses the field of a task's data at path, for example "data.input": the
// error is core.Invalid, says the path before its own text and has it as Op.
func Invalid(path, format string, a ...any) *core.Error {
	return core.Errorf(core.Invalid, path, "%s %s", path, fmt.Sprintf(format, a...))
}

// CheckShards refuses to cut a task into n parts that can be cut into most.
func CheckShards(n, most int) error {
	if n < 1 || n > most {
		return core.Errorf(core.Invalid, "shards", "%d shards asked for; this task can be cut into %s", n, upTo(most))
	}
	return nil
}

// CheckPartials refuses to merge n results of a task that can be cut into most parts.
func CheckPartials(n, most int) error {
	if n < 1 || n > most {
		return core.Errorf(core.Invalid, "partials", "%d partial results given; this task has %s", n, upTo(most))
	}
	return nil
}

func upTo(most int) string {
	if most == 1 {
		return "1"
	}
	return fmt.Sprintf("1 to %d", most)
}

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
