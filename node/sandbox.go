package node

import (
	"path/filepath"

	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
)

// buildSandbox makes the pool of children in which programs of strangers run, and
// the engine that has them run there. Nothing is started: children come with the
// service of the pool, or with the first job.
func (n *Node) buildSandbox() (*wasm.Executor, error) {
	dir, err := filepath.Abs(n.path(CacheDir))
	if err != nil {
		return nil, core.Errorf(core.Invalid, "home", "finding the home directory: %w", err)
	}
	cache, err := wasm.NewCache(filepath.Join(dir, wasm.CacheName), n.cfg.Compute.CacheMB<<20)
	if err != nil {
		return nil, err
	}
	warm := n.cfg.Compute.Warm
	if warm == 0 || !n.roleSet().Can().Has(core.CanCompute) {
		warm = -1
	}
	n.sandbox, err = sandbox.New(sandbox.Config{Warm: warm, Max: n.slots(), Dir: dir}, n.registerer, n.log)
	if err != nil {
		return nil, err
	}
	return wasm.NewExecutor(wasm.ExecutorConfig{Cache: cache, MemoryMB: n.offered().MemoryMB}, n.sandbox, n.log), nil
}

// slots is how many tasks may run at once: as many children may there be.
func (n *Node) slots() int {
	_, total := n.capacity.Slots()
	return min(max(total, 1), maxChildren)
}

// maxChildren is the most processes a pool takes.
const maxChildren = 4096
