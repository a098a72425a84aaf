package node

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

// Names of what is in a node's home.
const (
	KeyFile     = "node.key"
	LockFile    = "node.lock"
	PeersFile   = "peers.json"
	TokensFile  = "tokens.json"
	RuntimeFile = "runtime.json"
	CacheDir    = "cache"   // a directory: what sandbox children may use
	ObjectsDir  = "objects" // a directory: what was put at this node
)

func (n *Node) path(name string) string { return filepath.Join(n.cfg.Home, name) }

// buildIdentity makes the home, locks it and reads or makes the key.
func (n *Node) buildIdentity() error {
	if err := os.MkdirAll(n.cfg.Home, 0o700); err != nil {
		return core.Errorf(core.Denied, "home", "making the home directory: %w", err).
			WithHint("choose another one with --home")
	}
	lock, err := lockHome(n.path(LockFile))
	if err != nil {
		return err
	}
	n.closers = append(n.closers, lock.Close)
	if n.identity, err = keys.LoadOrCreate(n.path(KeyFile)); err != nil {
		return err
	}
	n.sizes = func(ctx context.Context) (core.Resources, error) { return compute.Sizes(ctx, n.cfg.Home) }
	p, err := compute.Measure(context.Background(), n.cfg.Home)
	if err != nil {
		return err
	}
	n.setProfile(p)
	return nil
}

// lockHome takes the lock that the kernel drops with the process, so a crash
// never leaves a home locked.
func lockHome(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, core.Errorf(core.Denied, "home", "opening the lock of the home directory: %w", err).
			WithHint("check who owns " + filepath.Dir(path))
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, core.Errorf(core.Exists, "home", "another node runs in %s", filepath.Dir(path)).
			WithHint("stop it, or give this one its own --home")
	}
	return f, nil
}

// resolveRoles turns "auto" into roles of this machine and refuses roles it is
// too small for.
func (n *Node) resolveRoles(want core.RoleSet) (core.RoleSet, error) {
	if len(want) == 0 {
		return core.ParseRoles(n.profile().AutoRoles()...)
	}
	for _, r := range want {
		if err := n.profile().Meets(r.Minimum); err != nil {
			return nil, core.Errorf(core.Denied, "role", "role %s: %w", r.Name, err).
				WithHint("choose a smaller role, or --role=auto to let the machine choose")
		}
	}
	return want, nil
}
