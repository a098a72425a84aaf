package client

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tenzro/tenzro/core"
)

// RuntimeFile is the file in a home that tells where its running node is.
const RuntimeFile = "runtime.json"

const maxRuntimeBytes = 256 << 10

// Runtime is what a node writes about itself once it serves.
type Runtime struct {
	PID       int            `json:"pid"`
	PeerID    core.NodeID    `json:"peerId"`
	Addrs     []string       `json:"addrs"`
	Bootstrap string         `json:"bootstrap"`
	HTTP      string         `json:"http"`
	Metrics   string         `json:"metrics"`
	Roles     []string       `json:"roles"`
	Region    core.RegionID  `json:"region"`
	Network   core.NetworkID `json:"network"`
}

// ReadRuntime reads runtime.json of home. Without the file no node has served
// from there since the last clean stop: the error wraps ErrUnreachable.
func ReadRuntime(home string) (Runtime, error) {
	var r Runtime
	path := filepath.Join(home, RuntimeFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, core.Errorf(core.Unavailable, "find node", "%w: no node runs from %s", ErrUnreachable, home).
			WithHint("start it with `tenzro run`, or name a node with --api or TENZRO_API")
	}
	if err != nil {
		return r, core.Errorf(core.Denied, "find node", "reading %s: %w", path, err).
			WithHint("run as the user that runs the node, or name it with --api")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRuntimeBytes))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err == nil && r.HTTP == "" {
		err = errors.New("it names no http address")
	}
	if err != nil {
		return r, core.Errorf(core.Corrupt, "find node", "reading %s: %w", path, err).
			WithHint("restart the node, or name it with --api")
	}
	return r, nil
}
