package sandbox

import (
	"errors"
	"os"
	"syscall"
)

// walls are what a thread puts around the children it starts.
type walls struct {
	null *os.File
}

func buildWalls(dir string) *walls {
	null, _ := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	return &walls{null: null}
}

func (w *walls) grants() bool  { return true }
func (w *walls) confine() bool { return false }
func (w *walls) close()        { _ = w.null.Close() }

func (w *walls) start(attr *os.ProcAttr) (*os.Process, *group, error) {
	attr.Sys = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p, err := os.StartProcess("/proc/self/exe", []string{childName}, attr)
	return p, nil, err
}

func raiseWalls(birth) []string { return nil }

type group struct{}

func (g *group) Close() error      { return errors.ErrUnsupported }
func (g *group) limit(bytes int64) {}
func (g *group) peak() int64       { return 0 }

type selfWatch struct{}

func newSelfWatch(func(Reason, string)) *selfWatch { return nil }
func (*selfWatch) begin(order)                     {}
func (*selfWatch) end()                            {}
