//go:build (amd64 || arm64) && !portable

package sandbox

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rule allows a system call when all of its conditions hold.
type rule struct {
	nr    uint32
	conds []cond
}

// cond compares an argument, masked, with a value.
type cond struct {
	arg         int
	mask, value uint64
}

const (
	lowWord  = 0xffffffff
	allWords = 0xffffffffffffffff

	// Where the kernel puts what a filter looks at: struct seccomp_data, on
	// little-endian machines.
	offsetNr   = 0
	offsetArch = 4
	offsetArgs = 16
)

// filter is the list of what a child may ask of the kernel: memory, threads,
// time, its pipes, and files where something else confines them. All else is
// EPERM: sockets, programs, processes, other processes' memory, namespaces,
// mounts, keys, modules, BPF, io_uring.
func filter(pid int, files bool) []rule {
	var rules []rule
	for _, nr := range plainCalls() {
		rules = append(rules, rule{nr: nr})
	}
	if files {
		for _, nr := range fileCalls() {
			rules = append(rules, rule{nr: nr})
		}
	}
	// Threads of this process, in the namespaces it has.
	const news = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET
	rules = append(rules, rule{unix.SYS_CLONE, []cond{{0, unix.CLONE_THREAD | unix.CLONE_VM | news, unix.CLONE_THREAD | unix.CLONE_VM}}})
	// Signals to itself.
	for _, nr := range []uint32{unix.SYS_KILL, unix.SYS_TGKILL} {
		rules = append(rules, rule{nr, []cond{{0, lowWord, uint64(pid)}}})
	}
	// Limits are read, not set.
	rules = append(rules, rule{unix.SYS_PRLIMIT64, []cond{{0, lowWord, 0}, {2, allWords, 0}}})
	for _, cmd := range []uint64{unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL, unix.F_DUPFD_CLOEXEC} {
		rules = append(rules, rule{unix.SYS_FCNTL, []cond{{1, lowWord, cmd}}})
	}
	return rules
}

// plainCalls need no file names. Those of one machine only are in archCalls.
func plainCalls() []uint32 {
	return append([]uint32{
		unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_PWRITE64, unix.SYS_LSEEK,
		unix.SYS_CLOSE, unix.SYS_FSTAT, unix.SYS_DUP, unix.SYS_DUP3, unix.SYS_PIPE2,
		unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2, unix.SYS_PPOLL,
		unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MREMAP, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK,
		unix.SYS_FUTEX, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_MEMBARRIER, unix.SYS_RSEQ,
		unix.SYS_SET_ROBUST_LIST, unix.SYS_SET_TID_ADDRESS, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP,
		unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_GETRES, unix.SYS_GETTIMEOFDAY, unix.SYS_GETRUSAGE, unix.SYS_GETRANDOM,
		unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETTID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID,
		unix.SYS_UNAME, unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
		unix.SYS_RESTART_SYSCALL, unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	}, archCalls()...)
}

// fileCalls name files, and landlock says which may be opened, made, renamed and
// removed. Modes, owners and times it does not hold, so nothing here changes them.
func fileCalls() []uint32 {
	return []uint32{
		unix.SYS_OPENAT, unix.SYS_STATX, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2, unix.SYS_READLINKAT, unix.SYS_GETDENTS64,
		unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_FTRUNCATE, unix.SYS_FSYNC,
		unix.SYS_FDATASYNC, unix.SYS_FLOCK, archStatAt,
	}
}

// assemble makes a program of the rules. Every rule jumps over itself when it
// does not apply, so no jump is longer than a rule.
func assemble(rules []rule) []unix.SockFilter {
	p := []unix.SockFilter{
		load(offsetArch),
		jump(unix.BPF_JEQ, archAudit, 1, 0),
		done(unix.SECCOMP_RET_KILL_PROCESS), // another machine's numbers mean other calls
		load(offsetNr),
		jump(unix.BPF_JGE, archForeign, 0, 1),
		done(unix.SECCOMP_RET_KILL_PROCESS),
	}
	for _, r := range rules {
		p = append(p, r.assemble()...)
	}
	return append(p,
		jump(unix.BPF_JEQ, unix.SYS_CLONE3, 0, 1), // its flags are out of sight: libraries then use clone
		done(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS)),
		done(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
}

func (r rule) assemble() []unix.SockFilter {
	var body []unix.SockFilter
	for _, c := range r.conds {
		for word := range 2 {
			mask, value := uint32(c.mask>>(32*word)), uint32(c.value>>(32*word))
			if mask == 0 {
				continue
			}
			body = append(body, load(uint32(offsetArgs+8*c.arg+4*word)),
				unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask},
				jump(unix.BPF_JEQ, value, 0, 0)) // where to is known below
		}
	}
	body = append(body, done(unix.SECCOMP_RET_ALLOW))
	if len(r.conds) > 0 {
		body = append(body, load(offsetNr)) // for the next rule
	}
	for i := range body {
		if body[i].Code == unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K {
			body[i].Jf = uint8(len(body) - 2 - i) // to the load at the end
		}
	}
	return append([]unix.SockFilter{jump(unix.BPF_JEQ, r.nr, 0, uint8(len(body)))}, body...)
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func jump(op uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: yes, Jf: no, K: k}
}

func done(verdict uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: verdict}
}

// filterCalls puts the filter on every thread of this process, for good.
func filterCalls(files bool) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	code := assemble(filter(os.Getpid(), files))
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	failed, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	if failed != 0 {
		return unix.ESRCH // a thread that cannot be brought along
	}
	return nil
}

func surveySystemCalls() Protection {
	p := Protection{Name: "system calls", Strong: true, Active: true, Detail: "seccomp: memory, threads, time and pipes; no sockets, programs or processes"}
	action := uint32(unix.SECCOMP_RET_ERRNO)
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action))); errno != 0 {
		p.Active, p.Detail = false, "no seccomp filter: "+errno.Error()
	}
	return p
}
