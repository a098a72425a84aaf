package integration

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute/container/docker"
	"github.com/tenzro/tenzro/compute/container/docker/dockertest"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
)

// A container runs on the one worker whose operator allows its image, from the command
// line as over HTTP, and one that still runs when its worker is killed is removed when
// the worker is there again.
//
// spec 4.4
func TestContainersOnTheNetwork(t *testing.T) {
	image := "sha256:" + strings.Repeat("ab", 32)
	running := make(chan struct{}, 10)
	e := dockertest.New(t)
	e.Add(docker.Image{ID: image, OS: "linux", Arch: "amd64"})
	e.Program = func(ctx context.Context, p dockertest.Process) dockertest.Exit {
		if slices.Contains(p.Spec.Cmd, "hang") {
			running <- struct{}{}
			<-ctx.Done()
		}
		_, _ = io.Copy(p.Stdout, p.Stdin)
		fmt.Fprintf(p.Stdout, "%s %s", p.Spec.Cmd, p.Files["in.txt"])
		_, _ = io.WriteString(p.Stderr, "done")
		return dockertest.Exit{Code: 7}
	}
	n := testnet.Three(t, 1)
	home := t.TempDir()
	flags := []string{"--role=local", "--bootstrap", n.Global.Runtime.Bootstrap, "--containers", "--container-image", image, "--container-socket", e.Socket}
	worker := testnet.Launch(t, "container", home, flags...)
	worker.AwaitServing()

	task := `{"type":"container","data":{"image":"` + image + `","args":["-l"],"stdin":"aGVsbG8="}}`
	for range 3 {
		r := n.Global.Completed(n.Global.Submit(task), time.Minute)
		if !slices.Equal(r.Workers, []core.NodeID{worker.ID()}) || len(r.Proofs) == 0 {
			t.Errorf("%s by %v with %d proofs", r.Result, r.Workers, len(r.Proofs))
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in.txt"), []byte("of a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	cli := testnet.Exec(t, "container run", dir, "container", "run", "--api", n.Global.Base, "--file", "in.txt", image, "--", "-l")
	if code := cli.Exit(time.Minute); code != 7 || cli.Stdout() != "[-l] of a file" || cli.Stderr() != "done" {
		t.Errorf("exit code %d, %q, %q", code, cli.Stdout(), cli.Stderr())
	}

	n.Global.Submit(`{"type":"container","data":{"image":"` + image + `","args":["hang"]}}`)
	<-running
	worker.Kill9()
	if len(e.Left()) != 1 {
		t.Fatalf("the engine has %v", e.Left())
	}
	left := e.Left()[0]
	again := testnet.Launch(t, "container again", home, flags...)
	again.AwaitServing()
	testnet.Await(t, "the container to be removed", time.Minute, func() error {
		if slices.Contains(e.Left(), left) {
			return fmt.Errorf("%s is there", left)
		}
		return nil
	})
	if lacks := e.Complaints(); len(lacks) > 0 {
		t.Errorf("the engine refused: %v", lacks)
	}
}
