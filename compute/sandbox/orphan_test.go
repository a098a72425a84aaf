package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
)

// orphanEnv makes the test binary a node that is going to be killed.
const orphanEnv = "TENZRO_TEST_ORPHAN"

// leaveOrphan serves a pool whose child spins, and prints the child's pid.
func leaveOrphan() {
	p, err := New(Config{Warm: -1}, nil, zerolog.Nop())
	if err != nil {
		return
	}
	go func() { _ = p.Serve(context.Background()) }()
	_, _ = p.Run(context.Background(), Job{Handler: "stream and spin", Output: func(core.Stream, []byte) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for g := range p.all {
			fmt.Println(g.proc.Pid)
		}
	}})
}

// TestOrphan kills a node without a chance to say goodbye: its child, in the
// middle of a loop that asks nobody, dies with it.
func TestOrphan(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	node := exec.Command(self)
	node.Env = append(os.Environ(), orphanEnv+"=1")
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	killed := node.Process.Kill()
	_ = node.Wait() // it was killed
	pid, bad := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || killed != nil || bad != nil {
		t.Fatalf("%q, %v, %v", line, err, killed)
	}
	limit, tick := time.After(time.Minute), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for alive(pid) {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("child %d survives its node", pid)
		}
	}
}

// alive reports whether a process that is not our child runs. Who inherited it
// may take long to reap it, so a zombie counts as dead.
func alive(pid int) bool {
	text, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	state := strings.TrimSpace(string(text))
	return err == nil && state != "" && !strings.HasPrefix(state, "Z")
}
