//go:build !portable

package sandbox

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// gauge measures one child from outside. All but Close belongs to whoever holds
// the child.
type gauge struct {
	pid   int
	clock int32    // the kernel's clock of the CPU time of the process
	stat  *os.File // /proc/PID/statm
	all   *os.File // /proc/PID/status
	refs  *os.File // /proc/PID/clear_refs, which resets the peak
	place *group

	base int64 // bytes held when idle and new
	data int64 // bytes of private memory mapped then
	cpu  time.Duration
	most int64 // held at once by the job
}

func newGauge(pid int, place *group) *gauge {
	dir := "/proc/" + strconv.Itoa(pid) + "/"
	g := &gauge{pid: pid, clock: int32(^pid<<3 | 2), place: place} // CPUCLOCK_SCHED of a process, see clock_getres(2)
	g.stat, _ = os.Open(dir + "statm")
	g.all, _ = os.Open(dir + "status")
	g.refs, _ = os.OpenFile(dir+"clear_refs", os.O_WRONLY, 0) // what cannot be opened measures nothing
	return g
}

// Close gives the descriptors back.
func (g *gauge) Close() error { return errors.Join(g.stat.Close(), g.all.Close(), g.refs.Close()) }

// ready notes what the child holds before its first job.
func (g *gauge) ready() {
	g.base = g.resident()
	g.data = g.status("VmData:")
}

// begin starts the account of a job and puts its limits on the child.
func (g *gauge) begin(l Limits) {
	g.cpu, _ = g.used()
	g.most = 0
	_, _ = g.refs.WriteString("5") // resets VmHWM; older kernels keep the highest ever
	g.limit(l)
	g.place.limit(g.base + l.Memory)
}

// limit bounds what may be mapped, which is a multiple of what may be held: an
// engine copies a memory to grow it. It also bounds CPU time, in whole seconds,
// should this process not be there to do it.
func (g *gauge) limit(l Limits) {
	const slack = 64 << 20
	data := uint64(g.data + 2*l.Memory + slack)
	_ = unix.Prlimit(g.pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: data, Max: unix.RLIM_INFINITY}, nil)
	cpu := l.CPU
	if cpu == 0 {
		cpu = threads * l.Wall
	}
	seconds := uint64((g.cpu+cpu)/time.Second) + 2
	_ = unix.Prlimit(g.pid, unix.RLIMIT_CPU, &unix.Rlimit{Cur: seconds, Max: unix.RLIM_INFINITY}, nil)
}

// check compares with the limits what the child uses.
func (g *gauge) check(l Limits) ending {
	held := g.held()
	g.most = max(g.most, held)
	switch {
	case held > l.Memory:
		return ending{MemoryLimit, "it held more memory than allowed"}
	case l.CPU > 0:
		if used, ok := g.used(); ok && used-g.cpu > l.CPU {
			return ending{CPULimit, "it used more CPU time than " + l.CPU.String()}
		}
	}
	return ending{}
}

// told has no use for what the child says of itself.
func (*gauge) told(usage, bool) {}

func (g *gauge) peak() int64 { return g.most }

// look notes the peak while there is one to read.
func (g *gauge) look() { g.most = max(g.most, g.status("VmHWM:")-g.base) }

// held returns the bytes held beyond those of the idle child.
func (g *gauge) held() int64 { return g.resident() - g.base }

func (g *gauge) resident() int64 {
	var buf [128]byte
	n, _ := g.stat.ReadAt(buf[:], 0)
	fields := bytes.Fields(buf[:n])
	if len(fields) < 2 {
		return 0 // it is dead
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}

// status returns a field of /proc/PID/status in bytes, 0 when it has none.
func (g *gauge) status(field string) int64 {
	var buf [4 << 10]byte
	n, _ := g.all.ReadAt(buf[:], 0)
	_, rest, found := bytes.Cut(buf[:n], []byte("\n"+field))
	value := bytes.Fields(rest[:min(len(rest), 40)])
	if !found || len(value) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(string(value[0]), 10, 64)
	return kib << 10
}

// used returns the CPU time of the child so far, to the nanosecond, and false when
// it is reaped.
func (g *gauge) used() (time.Duration, bool) {
	var t unix.Timespec
	err := unix.ClockGettime(g.clock, &t)
	return time.Duration(t.Nano()), err == nil
}
