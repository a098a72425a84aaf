package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"
	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/compute/wasm"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/config"
	"github.com/tenzro/tenzro/node"
)

// runHere runs the program in a child of this process, as a node would, and shows what
// it writes meanwhile.
func (s *shell) runHere(c *ucli.Context, data json.RawMessage, shown *programOutput) (json.RawMessage, error) {
	dir, cache, err := s.localCache(c)
	if err != nil {
		return nil, err
	}
	log := zerolog.New(s.Err).Level(zerolog.ErrorLevel)
	pool, err := sandbox.New(sandbox.Config{Warm: -1, Max: 1, Dir: dir}, nil, log)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(c.Context)
	served := make(chan error, 1)
	go func() { served <- pool.Serve(ctx) }()
	defer func() { stop(); <-served }()
	x := wasm.NewExecutor(wasm.ExecutorConfig{Cache: cache, MemoryMB: wasm.MaxMemoryMB}, pool, log)
	out, err := x.Run(ctx, data, compute.Report{OnOutput: shown.next})
	if c.Context.Err() != nil {
		return nil, context.Canceled
	}
	return out.Result, localFailure(err)
}

// localFailure tells bad data as a node does.
func localFailure(err error) error {
	if errors.Is(err, core.Invalid) {
		return &core.Failure{Reason: core.ReasonInvalidInput, Message: err.Error()}
	}
	return err
}

// localCache is where the node of the home directory keeps compiled modules, as
// much as its configuration says; without a home nothing is kept.
func (s *shell) localCache(c *ucli.Context) (dir string, cache *wasm.Cache, err error) {
	src, err := s.source(c)
	if err != nil {
		return "", nil, err
	}
	src.Flags = map[string][]string{flagHome: src.Flags[flagHome]} // the others are the program's, not the node's
	home, err := config.Home(src)
	if err != nil {
		return "", nil, err
	}
	if _, err := os.Stat(home); err != nil {
		return "", nil, nil
	}
	loaded, err := config.Load(src)
	if err != nil {
		return "", nil, err
	}
	if dir, err = filepath.Abs(filepath.Join(home, node.CacheDir)); err != nil {
		return "", nil, err
	}
	cache, err = wasm.NewCache(filepath.Join(dir, wasm.CacheName), loaded.Config.Compute.CacheMB<<20)
	return dir, cache, err
}
