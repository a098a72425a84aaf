package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tenzro/tenzro/core"
)

const (
	dirVersion  = 1
	versionName = "VERSION"
	lockName    = "LOCK"
	logName     = "log"
	historyName = "history"

	hintDamaged = "restore the directory from a copy; or move it away and join the region again; or, when no other coordinator is left, see `tenzro region recover`"
)

// owner is whose journal a directory holds.
type owner struct {
	network core.NetworkID
	region  core.RegionID
	node    core.NodeID
}

// text is the content of the VERSION file.
func (o owner) text() string {
	return fmt.Sprintf("tenzro-journal %d\nnetwork %s\nregion %s\nnode %s\n", dirVersion, o.network, o.region, o.node)
}

// parseOwner reads a VERSION file. The version comes first, so that a later one
// may change everything after it.
func parseOwner(path, s string) (o owner, err error) {
	first, rest, _ := strings.Cut(s, "\n")
	var version int
	if n, err := fmt.Sscanf(first, "tenzro-journal %d", &version); n != 1 || err != nil {
		return o, core.Errorf(core.Corrupt, "journal", "%s is not the VERSION file of a journal", path).WithHint(hintDamaged)
	}
	if version != dirVersion {
		return o, core.Errorf(core.Unsupported, "journal", "%s says that this journal has version %d; this program knows version %d", path, version, dirVersion).
			WithHint("start the version of tenzro that wrote it")
	}
	if n, err := fmt.Sscanf(rest, "network %s\nregion %s\nnode %s\n", &o.network, &o.region, &o.node); n != 3 || err != nil {
		return o, core.Errorf(core.Corrupt, "journal", "%s does not say whose journal this is", path).WithHint(hintDamaged)
	}
	return o, nil
}

// claimDir makes the directory's journal ours: creates what is missing, refuses
// another version, region or node, and locks it against a second process. The
// caller closes the lock.
func claimDir(dir string, mine owner) (lock *os.File, err error) {
	if err := os.MkdirAll(filepath.Join(dir, logName), 0o700); err != nil {
		return nil, core.Errorf(core.Unavailable, "journal", "creating %s: %w", dir, err)
	}
	lock, err = lockDir(dir)
	if err != nil {
		return nil, err
	}
	have, err := readOwner(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		err = writeOwner(dir, mine)
	case err == nil && have != mine:
		err = core.Errorf(core.Conflict, "journal", "%s is the journal of node %s for region %s of network %s, not of node %s for region %s of network %s",
			dir, have.node, have.region, have.network, mine.node, mine.region, mine.network).
			WithHint("name another directory, or move this one away")
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

func lockDir(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, core.Errorf(core.Unavailable, "journal", "opening the lock of %s: %w", dir, err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, core.Errorf(core.Conflict, "journal", "another process uses the journal in %s", dir).
			WithHint("stop the node that runs from it first")
	}
	return lock, nil
}

func readOwner(dir string) (owner, error) {
	path := filepath.Join(dir, versionName)
	b, err := os.ReadFile(path)
	if err != nil {
		return owner{}, err
	}
	return parseOwner(path, string(b))
}

func writeOwner(dir string, o owner) error {
	tmp := filepath.Join(dir, versionName+".new")
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(o.text())
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(tmp, filepath.Join(dir, versionName))
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return core.Errorf(core.Unavailable, "journal", "writing the VERSION file in %s: %w", dir, err)
	}
	return nil
}
