package cli

import (
	"io"
	"os"
	"path/filepath"

	"github.com/tenzro/tenzro/core"
)

// input says what a command reads, and how its errors name it.
type input struct {
	op   string // the argument or flag that names it
	what string
	most int    // bytes
	less string // what to do when it is too large
}

func taskInput() input {
	return input{"FILE", "task", core.MaxTaskBytes, "split the input over several tasks"}
}

// readInput reads a file, or standard input for "-", up to a bound.
func (s *shell) readInput(name string, in input) ([]byte, error) {
	from := s.In
	if name != "-" {
		f, err := os.Open(s.path(name))
		if err != nil {
			return nil, core.Errorf(core.Invalid, in.op, "reading the %s: %w", in.what, err).WithHint("check the file's name")
		}
		defer f.Close()
		from = f
	}
	content, err := io.ReadAll(io.LimitReader(from, int64(in.most)+1))
	if err != nil {
		return nil, core.Errorf(core.Invalid, in.op, "reading %s: %w", inputName(name), err).WithHint("check that it is a file")
	}
	if len(content) > in.most {
		return nil, core.Errorf(core.Exhausted, in.op, "%s is larger than %d MiB", inputName(name), in.most>>20).WithHint(in.less)
	}
	return content, nil
}

// path is where a name on the command line leads.
func (s *shell) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.Dir, name)
}

func inputName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}
