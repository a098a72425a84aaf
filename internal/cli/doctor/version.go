package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tenzro/tenzro/api"
)

// maxVersions bounds the versions that are named: peers may claim anything.
const maxVersions = 4

// version compares the running node with this program and with its peers.
func (in Input) version(a answers) []Line {
	const check = "version"
	if a.err != nil {
		return unknown(check)
	}
	if a.status.Version != in.Version {
		return one(check, Warn, "restart the node, or use the program it was started from", "the node is %s, this program %s", a.status.Version, in.Version)
	}
	same, others := tally(a.peers, in.Version)
	switch {
	case len(others) > 0:
		return one(check, Warn, "upgrade the nodes that are behind, workers first: docs/operations.md#upgrade",
			"node and program are %s, as are %d of %d peers; others run %s", in.Version, same, len(a.peers), spoken(others))
	case same > 0:
		return okay(check, "node, program and %d of %d peers are %s", same, len(a.peers), in.Version)
	}
	return okay(check, "node and program are %s; no peer tells its version", in.Version)
}

// running is how many peers run a version.
type running struct {
	version string
	peers   int
}

// tally counts the peers of version ours, and the others by version, the most
// first. Peers that tell no version count as neither.
func tally(peers []api.Peer, ours string) (same int, others []running) {
	counts := map[string]int{}
	for _, p := range peers {
		counts[p.Version]++
	}
	for version, n := range counts {
		if version != "" && version != ours {
			others = append(others, running{version, n})
		}
	}
	slices.SortFunc(others, func(a, b running) int {
		return cmp.Or(cmp.Compare(b.peers, a.peers), cmp.Compare(a.version, b.version))
	})
	return counts[ours], others
}

// spoken quotes the versions, which are what strangers claim.
func spoken(others []running) string {
	parts, rest := make([]string, 0, maxVersions+1), 0
	for i, r := range others {
		if i < maxVersions {
			parts = append(parts, fmt.Sprintf("%.64q (%d)", r.version, r.peers))
		} else {
			rest += r.peers
		}
	}
	if rest > 0 {
		parts = append(parts, fmt.Sprintf("more versions (%d)", rest))
	}
	return strings.Join(parts, ", ")
}
