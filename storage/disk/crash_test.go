package disk

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
)

// childDir re-executes this binary as a process that puts objects there.
const childDir = "TENZRO_TEST_OBJECTS_CHILD"

// content is the n-th object of a child: small ones and some of several pieces.
func content(n int) string {
	return strings.Repeat(fmt.Sprintf("object %d of %d ", n, os.Getppid()), 1+(n%7)*2000)
}

// child puts objects as fast as it can and writes down each acknowledgement, until
// it is killed.
func child(dir string, out io.Writer) int {
	s, err := Open(Config{Dir: dir}, nil, zerolog.Nop())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	const writers = 4
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := w; ; n += writers {
				info, _, err := s.Put(context.Background(), strings.NewReader(content(n)))
				if err != nil {
					return
				}
				mu.Lock()
				fmt.Fprintln(out, info.ID, info.Size)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return 1
}

// TestKill: a process that is killed at any moment has every object it acknowledged,
// whole, and nothing half written stays.
func TestKill(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	for range 4 {
		acked := kill(t, dir, time.Duration(rnd.IntN(200))*time.Millisecond)
		s := open(t, Config{Dir: dir})
		for id, size := range acked {
			info, data, err := s.Get(context.Background(), id)
			if err != nil || int64(len(data)) != size || info.Size != size {
				t.Errorf("object %s of %d bytes = %d bytes, %v", id, size, len(data), err)
			}
		}
		if left, err := os.ReadDir(s.root.Name() + "/" + tmpDir); err != nil || len(left) > 0 {
			t.Errorf("%d half written files are left, %v", len(left), err)
		}
		t.Logf("%d objects acknowledged", len(acked))
		must(t, s.Close())
	}
}

// kill runs a child until it has acknowledged something and the time is over.
func kill(t *testing.T, dir string, after time.Duration) map[core.ObjectID]int64 {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	acked := map[core.ObjectID]int64{}
	var once sync.Once
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		once.Do(func() { time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) })
		var text string
		var size int64
		if n, _ := fmt.Sscan(lines.Text(), &text, &size); n == 2 {
			id, err := core.ParseObjectID(text)
			must(t, err)
			acked[id] = size
		}
	}
	if err := cmd.Wait(); err == nil || len(acked) == 0 {
		t.Fatalf("the child ended by itself, %v, with %d objects", err, len(acked))
	}
	return acked
}
