package archtest

import (
	"slices"
	"strings"
)

// owners says which directories, with everything in them, may import a
// third-party module or package; the row with the longest path wins. A module
// without a row may be imported anywhere.
func owners() map[string][]string {
	libp2p := []string{"p2p"}
	cli := []string{"internal/cli"}
	hardware := []string{"compute", "node"}
	return map[string][]string{
		"github.com/libp2p":                                       libp2p,
		"github.com/libp2p/go-libp2p/core/host":                   {"p2p", "gossip", "jobs/dispatch", "storage/exchange"},
		"github.com/libp2p/go-libp2p/core/peer":                   {"p2p", "gossip"},
		"github.com/libp2p/go-libp2p/core/protocol":               {"p2p", "gossip"},
		"github.com/libp2p/go-libp2p-pubsub":                      {"gossip"},
		"github.com/urfave/cli":                                   cli,
		"github.com/knadh/koanf":                                  cli,
		"gopkg.in/natefinch/lumberjack.v2":                        cli,
		"github.com/danielgtaylor/huma":                           {"api"},
		"github.com/coder/websocket":                              {"api"},
		"github.com/thejerf/suture":                               {"internal/service"},
		"github.com/shirou/gopsutil":                              hardware,
		"github.com/klauspost/cpuid":                              hardware,
		"github.com/prometheus/client_golang":                     {}, // but for the two below
		"github.com/klauspost/reedsolomon":                        {"storage"},
		"github.com/cloudflare/circl":                             {"keys"},
		"github.com/xrash/smetrics":                               {"internal/nearest"},
		"github.com/tetratelabs/wazero":                           {"compute/wasm"},
		"github.com/cometbft":                                     {"ledger/bft"},
		"github.com/hashicorp/raft":                               {"jobs/journal"},
		"github.com/hashicorp/raft-wal":                           {"jobs/journal"},
		"github.com/cockroachdb/pebble":                           {"jobs/journal", "storage/disk", "ledger"},
		"github.com/prometheus/client_golang/prometheus":          {"."},
		"github.com/prometheus/client_golang/prometheus/promhttp": {"api"},
	}
}

// checkOwners enforces the table; tests may use what they need.
func checkOwners(t tree) (bad []string) {
	table := owners()
	for _, f := range t.files {
		if f.test {
			continue
		}
		for _, spec := range f.ast.Imports {
			p := strings.Trim(spec.Path.Value, "`\"")
			rooms, owned := longestPrefix(table, p)
			if owned && !slices.ContainsFunc(rooms, func(r string) bool { return r == "." || under(f.dir, r) }) {
				bad = append(bad, f.complain(spec.Pos(), "%s belongs to %s, not %s", p, strings.Join(rooms, ", "), f.dir))
			}
		}
	}
	return bad
}
