package archtest

import (
	"fmt"
	"path"
	"strings"
)

// floors says on which floor a package stands; the row with the longest path
// wins. A package imports only packages on lower floors.
func floors() map[string]int {
	return map[string]int{
		"core":                   0,
		"keys":                   1,
		"internal/service":       1,
		"internal/event":         1,
		"internal/nearest":       1,
		"internal/trace":         1,
		"compute/vsa/hyper":      1,
		"internal/trace/otlp":    2,
		"compute/wasm/isa":       1,
		"wire":                   2,
		"compute/wasm/wasmtest":  2, // for tests of convert too
		"compute/workload":       2,
		"p2p":                    3,
		"gossip":                 3,
		"registry":               3,
		"jobs":                   3,
		"jobs/template":          3,
		"storage":                3,
		"ledger":                 3,
		"compute":                3,
		"compute/sandbox":        3,
		"compute/wasm/convert":   3,
		"registry/presence":      4,
		"jobs/journal":           4,
		"jobs/dispatch":          4,
		"compute/vector":         4,
		"compute/vsa":            4,
		"compute/benchmark":      4,
		"compute/mapper":         4,
		"compute/wasm":           4,
		"storage/disk":           4,
		"storage/exchange":       4,
		"ledger/bft":             4,
		"jobs/workflow":          4,
		"roles":                  5,
		"roles/global":           6,
		"roles/regional":         6,
		"roles/local":            6,
		"roles/feedback":         6,
		"api":                    6,
		"node":                   7,
		"internal/cli/client":    7,
		"internal/cli/collector": 8,
		"internal/cli/config":    8,
		"internal/cli/devnet":    8,
		"internal/cli/doctor":    8,
		"integration/history":    8,
		"integration/testnet":    8,
		"internal/cli":           9,
		"integration/chaos":      9,
		"integration/sim":        9,
		"internal/archtest":      10,
		"integration":            10,

		"compute/program":          1,
		"compute/container":        4,
		"compute/container/docker": 3,
	}
}

// rootFloor is main.go's: the root is no prefix of other packages.
const rootFloor = 10

func floorOf(dir string) (floor int, ok bool) {
	if dir == "." {
		return rootFloor, true
	}
	if floor, ok = longestPrefix(floors(), dir); ok {
		return floor, true
	}
	if subject, fake := faked(dir); fake {
		return longestPrefix(floors(), subject)
	}
	return 0, false
}

// faked returns the package that an "xxxtest" package stands in for: the one it
// is in (p2p/p2ptest) or the one beside it (p2ptest).
func faked(dir string) (subject string, ok bool) {
	name, ok := strings.CutSuffix(path.Base(dir), "test")
	if !ok || name == "" || name == "arch" {
		return "", false
	}
	if parent := path.Dir(dir); path.Base(parent) == name {
		return parent, true
	}
	return path.Join(path.Dir(dir), name), true
}

// checkFloors enforces the table. Tests and fakes may also stand on their own
// floor; product code never imports a fake.
func checkFloors(t tree) (bad []string) {
	for _, f := range t.files {
		floor, ok := floorOf(f.dir)
		if !ok {
			bad = append(bad, fmt.Sprintf("%s: package %s is on no floor: add it to the table in internal/archtest/floors_test.go", f.path, f.dir))
			continue
		}
		for _, p := range f.imports() {
			if dir, ok := internalDir(p); ok {
				bad = append(bad, checkImport(f, floor, dir)...)
			}
		}
	}
	return bad
}

func checkImport(f *source, floor int, dir string) []string {
	pos := f.ast.Package
	target, ok := floorOf(dir)
	if !ok {
		return []string{f.complain(pos, "imports %s, which is on no floor", dir)}
	}
	subject, fake := faked(f.dir)
	_, fakeTarget := faked(dir)
	switch {
	case target > floor:
		return []string{f.complain(pos, "%s (floor %d) imports %s, which is above it (floor %d)", f.dir, floor, dir, target)}
	case target == floor && !f.test && !(fake && dir == subject):
		return []string{f.complain(pos, "%s imports %s sideways (both on floor %d)", f.dir, dir, floor)}
	case fakeTarget && !f.test && !fake && !under(f.dir, "integration"):
		return []string{f.complain(pos, "%s imports the fake %s outside tests", f.dir, dir)}
	}
	return nil
}
