package testnet

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const (
	// BinaryEnv names the binary that the tests run; Main builds one when it is
	// not set.
	BinaryEnv = "TESTNET_BINARY"

	module     = "github.com/tenzro/tenzro"
	buildLimit = 5 * time.Minute // a cold cache
)

// Main runs the tests of a package with the binary built once. It is called from
// TestMain, which exits with what it returns.
func Main(m *testing.M) int {
	if os.Getenv(BinaryEnv) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "testnet-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(filepath.Join(dir, "tenzro"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testnet:", err)
		return 1
	}
	return m.Run()
}

// build makes the binary that the tests run.
func build(path string) error {
	if err := Build(path); err != nil {
		return err
	}
	return os.Setenv(BinaryEnv, path)
}

// Build makes the binary as it is released: without cgo.
func Build(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, module)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", module, err, out)
	}
	return nil
}

// Binary returns the path of the binary under test.
func Binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv(BinaryEnv)
	if path == "" {
		t.Fatalf("%s is not set: call testnet.Main from TestMain", BinaryEnv)
	}
	return path
}
