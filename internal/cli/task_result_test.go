package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/api"
)

// TestInterruptedWait: who stops waiting learns that the task goes on, how to
// wait again and how to end it; the task itself is left alone.
func TestInterruptedWait(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	node := newFakeNode()
	node.asked = cancel // Ctrl-C, once the command waits
	var out, errs bytes.Buffer
	s := &shell{Process{Dir: t.TempDir(), Out: &out, Err: &errs, Environ: []string{"HOME=" + t.TempDir()},
		Args: []string{programName, "task", "submit", "--op", "slow", "--input", "1", "--wait", "--api", node.serve(t, api.Config{})}}}
	err := s.run(ctx)
	if exitCode(err) != ExitFailed || !strings.Contains(err.Error(), "stopped waiting; task task-1 goes on") ||
		!strings.Contains(hintOf(err), "tenzro task result --wait task-1") || !strings.Contains(hintOf(err), "tenzro task cancel task-1") {
		t.Errorf("error %v, fix %s", err, hintOf(err))
	}
	if out.Len() > 0 {
		t.Errorf("stdout %q", out.String())
	}
	if status, err := node.Status(context.Background(), "task-1"); err != nil || status.Status.Final() {
		t.Errorf("the task is %s (%v)", status.Status, err)
	}
}
