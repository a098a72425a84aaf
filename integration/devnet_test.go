package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/integration/testnet"
)

// devnetAnswer is what `devnet --once` prints.
type devnetAnswer struct {
	TaskID  core.TaskID
	Status  core.TaskState
	Result  json.RawMessage
	Gateway devnetNode
	Regions []devnetNode
	Workers []devnetNode
}

type devnetNode struct {
	ID  string
	PID int
}

// `devnet --once` prints one JSON object with the answer and three processes or
// more behind it, ends with code 0, and leaves neither a process nor a file.
//
// spec 0.24 0.30 0.61 1.73 1.74
func TestDevnetOnce(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	p := testnet.Exec(t, "devnet", t.TempDir(), "devnet", "--once")
	if code := p.Exit(90 * time.Second); code != 0 {
		t.Fatalf("it ended with code %d%s", code, p.Tail())
	}
	out := strings.TrimSpace(p.Stdout())
	if strings.Count(out, "\n") != 0 {
		t.Fatalf("it printed more than one line:\n%s", out)
	}
	var fields map[string]any
	var answer devnetAnswer
	if json.Unmarshal([]byte(out), &fields) != nil || json.Unmarshal([]byte(out), &answer) != nil {
		t.Fatalf("it printed %s", out)
	}
	testnet.Fields(t, "answer", fields, "taskId", "status", "result", "gateway", "regions", "workers")
	if answer.Status != core.TaskCompleted || string(answer.Result) != "55" || answer.TaskID == "" {
		t.Errorf("the answer is %s", out)
	}
	pids := map[int]bool{}
	for _, n := range append(append(answer.Regions, answer.Workers...), answer.Gateway) {
		if n.PID == 0 || n.ID == "" {
			t.Errorf("a node without a process: %+v", n)
		}
		pids[n.PID] = true
	}
	if len(pids) < 3 || len(answer.Regions) == 0 || len(answer.Workers) == 0 {
		t.Errorf("fewer than three processes are behind %s", out)
	}
	for pid := range pids {
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("process %d is still there (%v)", pid, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "*")); err != nil || len(left) != 0 {
		t.Errorf("it left %v behind", left)
	}
}

// A devnet that is interrupted, or killed the hard way, takes its nodes with it.
func TestDevnetInterrupted(t *testing.T) {
	for name, end := range map[string]func(*testnet.Process){"interrupt": (*testnet.Process).Interrupt, "kill -9": (*testnet.Process).Kill9} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			p := testnet.Exec(t, "devnet", home, "devnet", "--regions", "here", "--locals", "1", "--home", home)
			testnet.Await(t, "the devnet to be ready", patience, func() error {
				if !strings.Contains(p.Stdout(), "Ctrl-C") {
					return os.ErrNotExist
				}
				return nil
			})
			pids := nodePIDs(t, home)
			if len(pids) != 3 || !strings.Contains(p.Stdout(), "55") {
				t.Errorf("%d nodes run: %s", len(pids), p.Stdout())
			}
			end(p)
			if code := p.Exit(patience); code != 0 && name == "interrupt" {
				t.Errorf("it ended with code %d%s", code, p.Tail())
			}
			testnet.Await(t, "the nodes to be gone", patience, func() error {
				for _, pid := range pids {
					if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
						return syscall.EBUSY
					}
				}
				return nil
			})
		})
	}
}

// nodePIDs reads the process ids of the nodes that serve below a directory.
func nodePIDs(t *testing.T, dir string) (pids []int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "runtime.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		var r struct{ PID int }
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, r.PID)
	}
	return pids
}
