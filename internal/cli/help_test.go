package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ucli "github.com/urfave/cli/v2"
)

// TestHelp compares the help of every command with testdata/help; run with
// -update after changing one. A file without a command is an error too.
//
// spec 0.33
func TestHelp(t *testing.T) {
	seen := map[string]bool{}
	var walk func(c *ucli.Command, path []string)
	walk = func(c *ucli.Command, path []string) {
		name := strings.Join(append([]string{programName}, path...), "-") + ".txt"
		seen[name] = true
		t.Run(name, func(t *testing.T) { compareHelp(t, name, path) })
		for _, sub := range c.Subcommands {
			walk(sub, append(path[:len(path):len(path)], sub.Name))
		}
	}
	walk(testRoot(), nil)
	files, err := os.ReadDir("testdata/help")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[f.Name()] {
			t.Errorf("testdata/help/%s belongs to no command", f.Name())
		}
	}
}

func compareHelp(t *testing.T, name string, path []string) {
	var out, errs bytes.Buffer
	s := &shell{Process{Args: append(append([]string{programName}, path...), "--help"), Out: &out, Err: &errs}}
	if err := s.run(context.Background()); err != nil || errs.Len() > 0 {
		t.Fatalf("error %v, stderr %q", err, errs.String())
	}
	file := filepath.Join("testdata/help", name)
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != string(want) {
		t.Errorf("help changed; got:\n%s\nwant:\n%s", got, want)
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if strings.HasSuffix(line, " ") {
			t.Errorf("trailing space in %q", line)
		}
	}
}

// TestEveryCommandExplainsItself: usage on each, a fixed set on the first level.
func TestEveryCommandExplainsItself(t *testing.T) {
	want := "run devnet init task workflow wasm container object network node peer region key config token healthcheck doctor version completion"
	var names []string
	for _, c := range testRoot().Subcommands {
		names = append(names, c.Name)
		if c.Usage == "" || c.Action == nil {
			t.Errorf("%s: usage %q", c.Name, c.Usage)
		}
	}
	if strings.Join(names, " ") != want {
		t.Errorf("commands %v, want %s", names, want)
	}
}
