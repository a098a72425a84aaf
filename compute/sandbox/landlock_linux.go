//go:build !portable

package sandbox

import (
	"debug/elf"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tenzro/tenzro/core"
)

// File rights of landlock, by the version that brought them.
const (
	rightsV1 uint64 = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
		unix.LANDLOCK_ACCESS_FS_READ_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	rightsV2 = rightsV1 | unix.LANDLOCK_ACCESS_FS_REFER
	rightsV3 = rightsV2 | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	rightsV5 = rightsV3 | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV

	// What children may do below their directory.
	rightsDir = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	rightsRun  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE
	rightsLibs = rightsRun | unix.LANDLOCK_ACCESS_FS_READ_DIR
)

// confine keeps the calling thread, and what it starts, from every file but this
// program and dir, from TCP, and from abstract sockets, as far as the kernel's
// version of landlock goes. Signals are not scoped: kernels 6.12 to 6.14 would
// keep the thread from signalling the others of its own process, which the
// runtime needs; the system call filter does it instead.
func confine(dir string) (version int, err error) {
	version, err = landlockVersion()
	if err != nil {
		return 0, err
	}
	attr := unix.LandlockRulesetAttr{Access_fs: fileRights(version)}
	if version >= 4 {
		attr.Access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), attrSize(version), 0)
	if errno != 0 {
		return 0, errno
	}
	defer unix.Close(int(fd))
	if err := grantAll(int(fd), dir, attr.Access_fs); err != nil {
		return 0, err
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return 0, errno
	}
	return version, nil
}

func landlockVersion() (int, error) {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, errno
	}
	return int(v), nil
}

func fileRights(version int) uint64 {
	switch {
	case version >= 5:
		return rightsV5
	case version >= 3:
		return rightsV3
	case version == 2:
		return rightsV2
	}
	return rightsV1
}

// attrSize is how much of the structure a version knows.
func attrSize(version int) uintptr {
	switch {
	case version >= 6:
		return unsafe.Sizeof(unix.LandlockRulesetAttr{})
	case version >= 4:
		return 16
	}
	return 8
}

// grantAll adds the rules of a child.
func grantAll(ruleset int, dir string, known uint64) error {
	if err := grant(ruleset, self, rightsRun&known); err != nil {
		return err
	}
	if dir != "" {
		if err := grant(ruleset, dir, rightsDir&known); err != nil {
			return err
		}
	}
	for _, lib := range libraries() {
		if _, err := os.Stat(lib); err != nil {
			continue
		}
		if err := grant(ruleset, lib, rightsLibs&known); err != nil {
			return err
		}
	}
	return nil
}

func grant(ruleset int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return core.Errorf(core.Internal, "sandbox", "opening %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &^= unix.LANDLOCK_ACCESS_FS_READ_DIR // a file has no such right, and asking is an error
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return core.Errorf(core.Internal, "sandbox", "granting %s: %w", path, errno)
	}
	return nil
}

// libraries returns where the shared libraries of this program are; a static one,
// which a release is, has none.
func libraries() []string {
	f, err := elf.Open(self)
	if err != nil {
		return nil
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"}
		}
	}
	return nil
}
