//go:build !portable

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// self is this program, even when its file was replaced since it started.
const self = "/proc/self/exe"

// walls are what a thread puts around itself and so around the children it
// starts. They stand before the first instruction of a child.
type walls struct {
	null     *os.File
	flags    uintptr // namespaces that each child gets for itself
	shared   error   // nil when the thread has namespaces of its own
	private  error   // nil when children get theirs
	caps     error   // nil when the thread has no capabilities
	landlock int     // version, 0 when there is none
	noFiles  error   // why there is none
}

// buildWalls changes the calling thread for good: it must end soon, see apart.
func buildWalls(dir string) *walls {
	w := &walls{}
	w.null, _ = os.OpenFile(os.DevNull, os.O_RDWR, 0) // nil is closed in the child
	w.shared = unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS)
	if w.shared != nil {
		w.private = w.probe(unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWPID)
	}
	if w.shared == nil || w.private != nil {
		w.caps = dropCapabilities()
	}
	if w.noFiles = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); w.noFiles == nil {
		w.landlock, w.noFiles = confine(dir)
	}
	return w
}

// probe finds out whether children may have namespaces: a process is made that
// has nothing to execute. A user namespace takes what capabilities there are.
func (w *walls) probe(flags uintptr) error {
	_, err := os.StartProcess("/proc/self/exe/nothing", []string{childName}, &os.ProcAttr{Sys: &syscall.SysProcAttr{Cloneflags: flags}})
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENOENT) {
		w.flags = flags
		return nil
	}
	var why syscall.Errno
	if errors.As(err, &why) {
		return why
	}
	return err
}

// dropCapabilities takes all capabilities from the calling thread; with
// no_new_privs no program it executes gets any back, whoever its user is.
func dropCapabilities() error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	none := [2]unix.CapUserData{}
	return unix.Capset(&head, &none[0])
}

// grants reports whether children can be confined to a directory.
func (w *walls) grants() bool { return w.landlock > 0 }

// confine reports whether children are kept from files by what is inherited.
func (w *walls) confine() bool { return w.landlock > 0 }

// users reports whether a limit on the threads of a user counts those of a child
// only: since kernel 5.14, and landlock 2 came with 5.19.
func (w *walls) users() bool { return w.flags&unix.CLONE_NEWUSER != 0 && w.landlock >= 2 }

func (w *walls) close() { _ = w.null.Close() }

// start starts a child, which dies with the calling thread.
func (w *walls) start(attr *os.ProcAttr) (*os.Process, error) {
	attr.Sys = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: w.flags}
	return os.StartProcess(self, []string{childName}, attr)
}

// survey tells what buildWalls found, and what children and their parent add.
func survey() []Protection {
	w := buildWalls("")
	defer w.close()
	files := Protection{Name: "files", Active: w.landlock > 0, Strong: true, Detail: fmt.Sprintf("landlock version %d", w.landlock)}
	if w.landlock == 0 {
		files.Detail = fmt.Sprintf("landlock: %v; children open no file at all, and there is no cache on disk", w.noFiles)
	}
	return []Protection{
		{Name: "process", Active: true, Strong: true, Detail: "own process group, dies with its parent"},
		files, surveySystemCalls(), w.surveyNetwork(), w.surveyPrivileges(),
		{Name: "limits", Active: true, Strong: true, Detail: "rlimits on memory, CPU time, files and core dumps; memory is watched"},
		{Name: "priority", Active: true, Detail: "runs when nothing else wants to (SCHED_IDLE, nice 19), first to go when memory is short"},
	}
}

func (w *walls) surveyNetwork() Protection {
	p := Protection{Name: "network", Active: w.shared == nil || w.private == nil}
	switch {
	case w.shared == nil:
		p.Detail = "children share an empty network namespace"
	case p.Active:
		p.Detail = "each child has an empty network namespace, users and processes of its own"
	default:
		p.Detail = fmt.Sprintf("no namespaces: %v; sockets are refused all the same", w.private)
	}
	return p
}

func (w *walls) surveyPrivileges() Protection {
	p := Protection{Name: "privileges", Strong: true, Active: w.caps == nil, Detail: "no capabilities, no_new_privs"}
	if w.caps != nil {
		p.Detail = fmt.Sprintf("capabilities cannot be dropped: %v", w.caps)
	}
	return p
}

// firstThread reports whether this is the first thread of the process, the one
// that others take for the process itself.
func firstThread() bool { return unix.Gettid() == unix.Getpid() }
