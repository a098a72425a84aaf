package sandbox

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
)

// threads is GOMAXPROCS of a child: one for the guest, one for the collector.
const threads = 2

// cell starts children. It belongs to one thread, whose walls they inherit.
type cell struct {
	walls *walls
	dir   string // what children may use, "" where they cannot be confined to it
	log   zerolog.Logger
}

func newCell(cfg Config, log zerolog.Logger) *cell {
	w := buildWalls(cfg.Dir)
	c := &cell{walls: w, dir: cfg.Dir, log: log}
	if c.dir != "" && !w.grants() {
		c.dir = ""
		log.Warn().Str("dir", cfg.Dir).Msg("sandbox children get no cache directory: the system cannot confine them to it")
	}
	return c
}

func (c *cell) close() { c.walls.close() }

// ends are the pipes of a child, ours and its own.
type ends struct {
	in, out, errors           *os.File // ours
	request, response, stderr *os.File // its own, closed when it runs
	null                      *os.File
}

func openEnds() (e ends, err error) {
	if e.request, e.in, err = os.Pipe(); err == nil {
		if e.out, e.response, err = os.Pipe(); err == nil {
			widen(e.in)
			widen(e.out)
			if e.errors, e.stderr, err = os.Pipe(); err == nil {
				return e, nil
			}
		}
	}
	e.closeAll(e.request, e.in, e.out, e.response)
	return e, err
}

func (ends) closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// start starts a child; what it says first is still to be heard, and who wanted
// it measures it, since this thread sees no files.
func (c *cell) start() (*guest, error) {
	if os.Getenv(childEnv) != "" {
		return nil, core.Errorf(core.Internal, "sandbox", "this program does not call sandbox.Main, so its children would be like itself").WithHint("call it first in main, and in TestMain of tests")
	}
	e, err := openEnds()
	if err != nil {
		return nil, core.Errorf(core.Internal, "sandbox", "opening pipes: %w", err).WithHint("raise the limit of open files")
	}
	defer e.closeAll(e.request, e.response, e.stderr)
	text, err := json.Marshal(birth{Dir: c.dir, Confined: c.walls.confine(), Users: c.walls.users()})
	if err != nil {
		e.closeAll(e.in, e.out, e.errors)
		return nil, err
	}
	proc, err := c.walls.start(&os.ProcAttr{
		Dir:   "/",
		Env:   []string{childEnv + "=" + string(text), "GOMAXPROCS=" + strconv.Itoa(threads), "GOTRACEBACK=none"},
		Files: []*os.File{c.walls.null, c.walls.null, e.stderr, e.request, e.response},
	})
	if err != nil {
		e.closeAll(e.in, e.out, e.errors)
		return nil, core.Errorf(core.Internal, "sandbox", "starting a child: %w", err)
	}
	return &guest{proc: proc, in: e.in, out: e.out, errors: e.errors, hello: make(chan greeting, 1), quiet: make(chan struct{}), gone: make(chan struct{})}, nil
}

// checkDir wants dir to be an absolute path of a directory, or empty.
func checkDir(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return core.Errorf(core.NotFound, "sandbox.dir", "%s does not exist", dir).WithHint("create it")
	case err != nil:
		return core.Errorf(core.Invalid, "sandbox.dir", "%w", err)
	case !info.IsDir() || !filepath.IsAbs(dir):
		return core.Errorf(core.Invalid, "sandbox.dir", "%s is no absolute path of a directory", dir)
	}
	return nil
}
