package archtest

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// rule is one thing that must hold; check returns a line per violation.
type rule struct {
	name  string
	check func(tree) []string
}

func rules() []rule {
	return []rule{
		{"floors", checkFloors},
		{"owners", checkOwners},
		{"package comments", checkPackageComments},
		{"no init", checkInit},
		{"short main", checkMain},
		{"no globals", checkGlobals},
		{"no panic", checkPanic},
		{"no sleep", checkSleep},
		{"names", checkNames},
	}
}

// TestRepository holds the repository to the rules.
func TestRepository(t *testing.T) {
	src, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(src.files, func(f *source) bool { return f.path == "core/doc.go" }) {
		t.Fatalf("%d files and no core/doc.go: not the repository", len(src.files))
	}
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, line := range r.check(src) {
				t.Error(line)
			}
		})
	}
}

// fixture is a small repository given as path -> text.
type fixture map[string]string

func (x fixture) load(t *testing.T) tree {
	t.Helper()
	files := fstest.MapFS{}
	for p, text := range x {
		files[p] = &fstest.MapFile{Data: []byte(text)}
	}
	src, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestRules plants violations, and things that only look like one: every rule
// must name exactly the first.
func TestRules(t *testing.T) {
	imports := func(pkg string, paths ...string) string {
		return "package " + pkg + "\nimport (\n_ \"" + strings.Join(paths, "\"\n_ \"") + "\"\n)\n"
	}
	own := func(dirs ...string) (paths []string) {
		for _, d := range dirs {
			paths = append(paths, module+"/"+d)
		}
		return paths
	}
	const p2pHost, p2pPeer, p2pNet = "github.com/libp2p/go-libp2p/core/host", "github.com/libp2p/go-libp2p/core/peer", "github.com/libp2p/go-libp2p/core/network"
	const prom = "github.com/prometheus/client_golang/prometheus"
	proved := map[string]bool{}
	comment := "// Package p is one.\n// Two.\n// Three.\n"

	for name, c := range map[string]struct {
		rule  string
		files fixture
		want  []string // one part of each violation, in order; none for a clean fixture
	}{
		"imports downwards":      {"floors", fixture{"api/a.go": imports("api", own("core", "jobs", "jobs/dispatch", "roles")...)}, nil},
		"imports upwards":        {"floors", fixture{"core/a.go": imports("core", own("wire")...)}, []string{"core (floor 0) imports wire, which is above it (floor 2)"}},
		"imports sideways":       {"floors", fixture{"storage/a.go": imports("storage", own("gossip")...)}, []string{"storage imports gossip sideways"}},
		"roles know each other":  {"floors", fixture{"roles/global/a.go": imports("global", own("roles", "roles/local")...)}, []string{"roles/global imports roles/local sideways"}},
		"child imports parent":   {"floors", fixture{"jobs/dispatch/a.go": imports("dispatch", own("jobs")...)}, nil},
		"parent imports child":   {"floors", fixture{"jobs/a.go": imports("jobs", own("jobs/dispatch")...)}, []string{"above it"}},
		"longest row wins":       {"floors", fixture{"compute/vector/a.go": imports("vector", own("compute")...), "compute/deep/a.go": imports("deep", own("compute")...)}, []string{"compute/deep imports compute sideways"}},
		"unknown package":        {"floors", fixture{"newroom/a.go": "package newroom"}, []string{"newroom is on no floor: add it"}},
		"imports unknown":        {"floors", fixture{"node/a.go": imports("node", own("newroom")...)}, []string{"imports newroom, which is on no floor"}},
		"similar name is no row": {"floors", fixture{"corex/a.go": "package corex"}, []string{"corex is on no floor"}},
		"imports the root":       {"floors", fixture{"node/a.go": imports("node", module)}, []string{"imports ., which is above it"}},
		"main imports cli":       {"floors", fixture{"main.go": imports("main", own("internal/cli")...)}, nil},
		"test on its own floor":  {"floors", fixture{"p2p/a_test.go": imports("p2p_test", own("p2p", "p2p/p2ptest", "gossip")...)}, nil},
		"test above its floor":   {"floors", fixture{"p2p/a_test.go": imports("p2p_test", own("node")...)}, []string{"above it"}},
		"fake imports its own":   {"floors", fixture{"p2p/p2ptest/a.go": imports("p2ptest", own("p2p", "core")...), "wiretest/a.go": imports("wiretest", own("wire")...)}, nil},
		"fake imports another":   {"floors", fixture{"p2p/p2ptest/a.go": imports("p2ptest", own("gossip")...)}, []string{"sideways"}},
		"product imports a fake": {"floors", fixture{"node/a.go": imports("node", own("p2p/p2ptest")...)}, []string{"imports the fake p2p/p2ptest outside tests"}},
		"fake of nothing":        {"floors", fixture{"novotest/a.go": "package novotest"}, []string{"on no floor"}},

		"libp2p in p2p":            {"owners", fixture{"p2p/a.go": imports("p2p", p2pHost, p2pNet, "github.com/libp2p/go-libp2p", "github.com/libp2p/go-libp2p-kad-dht"), "p2p/lan/a.go": imports("lan", p2pNet)}, nil},
		"libp2p elsewhere":         {"owners", fixture{"node/a.go": imports("node", "github.com/libp2p/go-libp2p")}, []string{"node/a.go:3: github.com/libp2p/go-libp2p belongs to p2p, not node"}},
		"host may be named":        {"owners", fixture{"gossip/a.go": imports("gossip", p2pHost, p2pPeer, "github.com/libp2p/go-libp2p-pubsub"), "jobs/dispatch/a.go": imports("dispatch", p2pHost)}, nil},
		"host elsewhere":           {"owners", fixture{"jobs/a.go": imports("jobs", p2pHost)}, []string{"core/host belongs to"}},
		"peer in dispatch":         {"owners", fixture{"jobs/dispatch/a.go": imports("dispatch", p2pPeer)}, []string{"core/peer belongs to"}},
		"network in gossip":        {"owners", fixture{"gossip/a.go": imports("gossip", p2pNet)}, []string{"core/network belongs to"}},
		"pubsub in p2p":            {"owners", fixture{"p2p/a.go": imports("p2p", "github.com/libp2p/go-libp2p-pubsub")}, []string{"belongs to gossip"}},
		"DHT in gossip":            {"owners", fixture{"gossip/a.go": imports("gossip", "github.com/libp2p/go-libp2p-kad-dht")}, []string{"belongs to p2p"}},
		"major versions count":     {"owners", fixture{"node/a.go": imports("node", "github.com/urfave/cli/v2", "github.com/danielgtaylor/huma/v2/adapters/humago", "github.com/thejerf/suture/v4", "github.com/knadh/koanf/v2")}, []string{"urfave/cli", "huma", "suture", "koanf"}},
		"hardware":                 {"owners", fixture{"compute/a.go": imports("compute", "github.com/shirou/gopsutil/v4/mem"), "api/a.go": imports("api", "github.com/klauspost/cpuid/v2")}, []string{"cpuid"}},
		"prometheus anywhere":      {"owners", fixture{"jobs/a.go": imports("jobs", prom, prom+"/collectors"), "api/a.go": imports("api", prom+"/promhttp")}, nil},
		"metrics page elsewhere":   {"owners", fixture{"node/a.go": imports("node", prom+"/promhttp", "github.com/prometheus/client_golang/api")}, []string{"promhttp belongs to api", "client_golang/api belongs to"}},
		"tests use what they need": {"owners", fixture{"node/a_test.go": imports("node", "github.com/libp2p/go-libp2p")}, nil},
		"no row, no owner":         {"owners", fixture{"node/a.go": imports("node", "github.com/google/uuid", "github.com/libp2pfriends/x")}, nil},

		"comment of three lines":   {"package comments", fixture{"p/doc.go": comment + "package p", "p/b.go": "package p"}, nil},
		"comment of two lines":     {"package comments", fixture{"p/doc.go": "// Package p is one.\n// Two.\npackage p"}, []string{"p: the package comment has 2 lines"}},
		"no comment":               {"package comments", fixture{"p/a.go": "package p"}, []string{"has 0 lines"}},
		"comment only in a test":   {"package comments", fixture{"p/a.go": "package p", "p/a_test.go": comment + "package p"}, []string{"has 0 lines"}},
		"package of tests":         {"package comments", fixture{"p/a_test.go": comment + "package p"}, nil},
		"comment apart from it":    {"package comments", fixture{"p/a.go": comment + "\npackage p"}, []string{"has 0 lines"}},
		"directive is no comment":  {"package comments", fixture{"p/a.go": "//go:build linux\n//go:debug x=1\n//go:generate y\npackage p"}, []string{"has 0 lines"}},
		"init":                     {"no init", fixture{"p/a.go": "package p\nfunc init() {}", "p/a_test.go": "package p\nfunc init() {}"}, []string{"p/a.go:2: func init", "p/a_test.go:2"}},
		"method init":              {"no init", fixture{"p/a.go": "package p\ntype t int\nfunc (t) init() {}\nfunc initialise() {}"}, nil},
		"main of 20 lines":         {"short main", fixture{"main.go": "package main\n" + strings.Repeat("\n", 19)}, nil},
		"main of 21 lines":         {"short main", fixture{"main.go": "package main\n" + strings.Repeat("\n", 19) + "func main() {}"}, []string{"21 lines"}},
		"long main elsewhere":      {"short main", fixture{"deploy/main.go": "package main\n" + strings.Repeat("\n", 50)}, nil},
		"names that say nothing":   {"names", fixture{"p2p/util/a.go": "package util", "types/deep/a.go": "package deep", "utility/a.go": "package utility", "p/helpers.go": "package p"}, []string{`p2p/util: a package named "util"`, `types/deep: a package named "types"`}},
		"no Go, no package":        {"names", fixture{"web/types/a.ts": "export {}"}, nil},
		"own module, fixtures":     {"names", fixture{"bench/go.mod": "module bench", "bench/util/a.go": "package util", "p/testdata/util/a.go": "package util", ".ci/util/a.go": "package util"}, nil},
		"package-level variable":   {"no globals", fixture{"p/a.go": "package p\nvar cache = map[string]int{}\nvar a, b int"}, []string{"variable cache", "variable a", "variable b"}},
		"variable in a group":      {"no globals", fixture{"p/a.go": "package p\nvar (\n\tn = 1\n\t_ I = (*t)(nil)\n)"}, []string{"p/a.go:3: package-level variable n"}},
		"sentinel errors":          {"no globals", fixture{"p/a.go": "package p\nvar ErrA = errors.New(\"a\")\nvar errB = core.Errorf(core.Invalid, \"b\", \"b\").WithHint(\"c\")\nvar ErrC, errD = errors.New(\"c\"), fmt.Errorf(\"d\")"}, nil},
		"error with another name":  {"no globals", fixture{"p/a.go": "package p\nvar broken = errors.New(\"a\")"}, []string{"variable broken"}},
		"name of an error only":    {"no globals", fixture{"p/a.go": "package p\nvar ErrCount = 0\nvar errs = open()\nvar ErrNil error"}, []string{"ErrCount", "errs", "ErrNil"}},
		"regexp and embed":         {"no globals", fixture{"p/a.go": "package p\nvar re = regexp.MustCompile(\"x\")\n//go:embed x\nvar files embed.FS"}, nil},
		"marked constant":          {"no globals", fixture{"p/a.go": "package p\n// names by number.\n//\n//archtest:constant\nvar names = [...]string{\"a\"}\nvar (\n\t//archtest:constant\n\tx = 1\n)"}, nil},
		"mark on another variable": {"no globals", fixture{"p/a.go": "package p\nvar (\n\t//archtest:constant\n\tx = 1\n\ty = 2\n)\n//archtest:constant\n\nvar z = 1"}, []string{"variable y", "variable z"}},
		"variables in tests":       {"no globals", fixture{"p/a_test.go": "package p\nvar update = flag.Bool(\"update\", false, \"\")"}, nil},
		"variables in functions":   {"no globals", fixture{"p/a.go": "package p\nfunc f() { var x = 1; _ = x }"}, nil},
		"panic":                    {"no panic", fixture{"p/a.go": "package p\nfunc f() {\n\tpanic(\"x\")\n}\nfunc g() { defer func() { panic(1) }() }"}, []string{"p/a.go:3: panic", "p/a.go:5: panic"}},
		"panic that cannot happen": {"no panic", fixture{"p/a.go": "package p\nfunc f() {\n\t// impossible: the caller checked the length\n\tpanic(\"x\")\n}\nfunc g() {\n\tpanic(1) // impossible: never\n}"}, nil},
		"note too far from it":     {"no panic", fixture{"p/a.go": "package p\nfunc f() {\n\t// impossible: really\n\n\tpanic(\"x\")\n}"}, []string{"p/a.go:5: panic"}},
		"panic in tests, words":    {"no panic", fixture{"p/a_test.go": "package p\nfunc f() { panic(1) }", "p/a.go": "package p\n// panic( is bad\nconst s = \"panic(1)\"\nfunc f() { log.panic(1) }"}, nil},
		"sleep":                    {"no sleep", fixture{"p/a.go": "package p\nimport \"time\"\nfunc f() { time.Sleep(1) }"}, []string{"p/a.go:3: time.Sleep"}},
		"sleep in a test":          {"no sleep", fixture{"p/a_test.go": "package p\nimport \"time\"\nfunc f() { time.Sleep(1) }"}, []string{"p/a_test.go:3"}},
		"sleep by another name":    {"no sleep", fixture{"p/a.go": "package p\nimport clock \"time\"\nfunc f() { nap := clock.Sleep; nap(1) }"}, []string{"p/a.go:3"}},
		"sleep in a bubble":        {"no sleep", fixture{"p/a_test.go": "package p\nimport (\"time\"; \"testing/synctest\")\nfunc f() { time.Sleep(1); synctest.Wait() }"}, nil},
		"sleep in a bubble of the package": {"no sleep", fixture{"p/a_test.go": "package p\nimport \"time\"\nfunc f() { time.Sleep(1) }",
			"p/rig_test.go": "package p\nimport \"testing/synctest\"\nfunc g() { synctest.Wait() }"}, nil},
		"sleep beside a bubble": {"no sleep", fixture{"p/a.go": "package p\nimport \"time\"\nfunc f() { time.Sleep(1) }",
			"p/rig_test.go": "package p\nimport \"testing/synctest\"\nfunc g() { synctest.Wait() }"}, []string{"p/a.go:3"}},
		"another package's sleep": {"no sleep", fixture{"p/a.go": "package p\nimport \"time\"\nfunc f() { bed.Sleep(time.Second) }"}, nil},
	} {
		if len(c.want) > 0 {
			proved[c.rule] = true
		}
		t.Run(name, func(t *testing.T) {
			got := check(t, c.rule)(c.files.load(t))
			if len(got) != len(c.want) {
				t.Fatalf("%d violations, want %d:\n%s", len(got), len(c.want), strings.Join(got, "\n"))
			}
			for i, want := range c.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("violation %q, want one about %q", got[i], want)
				}
			}
		})
	}
	for _, r := range rules() {
		if !proved[r.name] {
			t.Errorf("no fixture proves that rule %q can fail", r.name)
		}
	}
}

func check(t *testing.T, name string) func(tree) []string {
	t.Helper()
	for _, r := range rules() {
		if r.name == name {
			return r.check
		}
	}
	t.Fatalf("no rule %q", name)
	return nil
}

func TestBrokenFileIsAnError(t *testing.T) {
	_, err := load(fstest.MapFS{"p/a.go": {Data: []byte("package p\nfunc {")}})
	if err == nil || !strings.Contains(err.Error(), "p/a.go") {
		t.Errorf("load = %v, want an error that names the file", err)
	}
}
