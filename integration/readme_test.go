package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
	"github.com/tenzro/tenzro/node"
)

// steps returns the commands of the block under "Run a node" in README.md, without
// their comments.
func steps(t *testing.T) (out []string) {
	t.Helper()
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n## Run a node\n")
	parts := strings.SplitN(rest, "\n```\n", 3)
	if !found || len(parts) != 3 {
		t.Fatal("README.md has no block of commands under \"Run a node\"")
	}
	for line := range strings.Lines(parts[1]) {
		command, comment, said := strings.Cut(line, "#")
		if !said || strings.TrimSpace(comment) == "" {
			t.Errorf("README.md does not say what %q is for", command)
		}
		out = append(out, strings.TrimSpace(command))
	}
	return out
}

// A stranger who follows README.md has a node that finds its neighbour and computes
// for it in four steps: install, configure, start, check.
//
// spec 0.57 1.69
func TestReadme(t *testing.T) {
	commands := steps(t)
	if len(commands) != 4 || commands[0] != "CGO_ENABLED=0 go build -o tenzro ." {
		t.Fatalf("the steps are %q; they must be four and begin with the build", commands)
	}
	home := t.TempDir()
	command := func(i int, more ...string) *testnet.Process {
		words := strings.Fields(commands[i])
		if words[0] != "./tenzro" {
			t.Fatalf("step %d is %q", i+1, commands[i])
		}
		return testnet.Exec(t, commands[i], home, append(words[1:], more...)...)
	}
	port := lanPort(t)
	neighbour := testnet.Run(t, "neighbour", "--network", "main", "--lan-port", port, "--role=regional", "--region", "here")
	if p := command(1); p.Exit(patience) != 0 || !strings.Contains(p.Stdout()+p.Stderr(), "config.yaml") {
		t.Fatalf("%s printed %s%s", commands[1], p.Stdout(), p.Stderr())
	}
	// As it stands but for addresses and ports, which others on this machine may have.
	run := command(2, "--listen", "127.0.0.1", "--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--p2p-port", "0", "--ws-port", "0", "--lan-port", port)
	testnet.Await(t, "the checks to pass", patience, func() error {
		if _, err := os.Stat(filepath.Join(home, ".tenzro", node.RuntimeFile)); err != nil {
			return err
		}
		p := command(3)
		if code := p.Exit(patience); code != 0 || !strings.Contains(p.Stdout(), "OK    peers") {
			return fmt.Errorf("%s ended with %d: %s%s", commands[3], code, p.Stdout(), p.Stderr())
		}
		return nil
	})
	if r := neighbour.Completed(neighbour.Submit(documentedTask), patience); string(r.Result) != "55" || slices.Equal(r.Workers, []core.NodeID{neighbour.ID()}) {
		t.Errorf("the result is %s, computed by %v", r.Result, r.Workers)
	}
	run.Term()
	if code := run.Exit(patience); code != 0 {
		t.Errorf("%s ended with %d: %s", commands[2], code, run.Stderr())
	}
}
