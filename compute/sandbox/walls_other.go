//go:build !linux || portable

package sandbox

import (
	"os"
	"syscall"
)

// walls are what a thread puts around the children it starts: here, nothing.
type walls struct {
	null *os.File
	self string
	err  error
}

func buildWalls(string) *walls {
	w := &walls{}
	w.null, _ = os.OpenFile(os.DevNull, os.O_RDWR, 0)
	w.self, w.err = os.Executable()
	return w
}

// grants reports whether children get a directory. They could read and write
// everything anyway.
func (w *walls) grants() bool { return true }

func (w *walls) confine() bool { return false }

func (w *walls) users() bool { return false }

func (w *walls) close() { _ = w.null.Close() }

// start starts a child in a process group of its own.
func (w *walls) start(attr *os.ProcAttr) (*os.Process, error) {
	if w.err != nil {
		return nil, w.err
	}
	attr.Sys = &syscall.SysProcAttr{Setpgid: true}
	return os.StartProcess(w.self, []string{childName}, attr)
}

// firstThread is of no interest where threads have no walls of their own.
func firstThread() bool { return false }

// survey tells what there is on a system that nobody has built walls for.
func survey() []Protection {
	const none = "not on this system: only the engine keeps a guest from it"
	return []Protection{
		{Name: "process", Active: true, Strong: true, Detail: "own process group, ends when its parent does"},
		{Name: "files", Strong: true, Detail: none},
		{Name: "system calls", Strong: true, Detail: none},
		{Name: "network", Detail: none},
		{Name: "privileges", Strong: true, Detail: "a child has those of its node"},
		{Name: "limits", Active: true, Strong: true, Detail: "rlimits on files and core dumps; memory and CPU time are watched from inside"},
		{Name: "priority", Active: true, Detail: "nice 19"},
	}
}

func surveyGroups() Protection {
	return Protection{Name: "control groups", Detail: "not on this system"}
}

// group is the control group of a child: there are none.
type group struct{}

func (*group) Close() error { return nil }
func (*group) killed() bool { return false }

type groups struct{}

func openGroups(string) (*groups, error)  { return &groups{}, nil }
func (*groups) enter(int) (*group, error) { return nil, nil }
func (*groups) close() error              { return nil }
