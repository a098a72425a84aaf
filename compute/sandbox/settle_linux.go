//go:build !portable

package sandbox

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	lowest       = 19      // the lowest of the ordinary priorities
	ioIdle       = 3 << 13 // IOPRIO_CLASS_IDLE
	ioWhoProcess = 1       // IOPRIO_WHO_PROCESS, a thread in truth
	firstToGo    = "1000"  // oom_score_adj
)

// settle makes the child with that pid, which is ready and has no job yet, give
// way to everything else on the machine.
func settle(pid int) {
	dir := "/proc/" + strconv.Itoa(pid)
	_ = os.WriteFile(dir+"/oom_score_adj", []byte(firstToGo), 0) // raising it is always allowed
	// Each thread has priorities of its own, and new ones have those of the thread
	// that made them: the second round finds what the first one missed.
	for range 2 {
		eachThread(pid, func(tid int) {
			_ = unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Nice: lowest}, 0)
			_ = unix.Setpriority(unix.PRIO_PROCESS, tid, lowest)
			_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ioWhoProcess, uintptr(tid), ioIdle)
		})
	}
}

// hurry gives a child that was killed the time to die: an ordinary thread's, as
// far as this process may.
func hurry(pid int) {
	eachThread(pid, func(tid int) {
		_ = unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: lowest}, 0)
		_ = unix.Setpriority(unix.PRIO_PROCESS, tid, 0)
	})
}

func eachThread(pid int, do func(tid int)) {
	threads, _ := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	for _, t := range threads {
		if tid, err := strconv.Atoi(t.Name()); err == nil {
			do(tid)
		}
	}
}

// selfWatch is not needed: the parent sees all that a child uses.
type selfWatch struct{}

func newSelfWatch(func(Reason, string)) *selfWatch { return nil }

func (*selfWatch) run()               {}
func (*selfWatch) begin(order)        {}
func (*selfWatch) end() (usage, bool) { return usage{}, false }

// widen lets a pipe hold more, so that a big request or response takes fewer
// turns. The system may refuse.
func widen(pipe *os.File) {
	const size = 1 << 20
	if raw, err := pipe.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, size) })
	}
}
