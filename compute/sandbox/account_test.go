package sandbox

import (
	"testing"
	"time"
)

// TestAccount: CPU time and peak memory are those of the job, not of the child's
// earlier ones.
func TestAccount(t *testing.T) {
	if raced {
		t.Skip("the race detector's own memory and time are in the account")
	}
	p := serve(t, Config{Warm: -1})
	const mib = 1 << 20
	big := run(t, p, Job{Handler: "hold", Request: make([]byte, 100)})
	if big.Reason != OK || big.PeakMemory < 100*mib || big.PeakMemory > 200*mib || big.CPU <= 0 {
		t.Errorf("100 MiB: peak %d MiB, CPU %s, %q %s", big.PeakMemory/mib, big.CPU, big.Reason, big.Message)
	}
	small := run(t, p, Job{Handler: "echo"})
	if small.Reason != OK || small.PeakMemory > 40*mib || small.CPU <= 0 || small.CPU > big.CPU+time.Second {
		t.Errorf("nothing: peak %d MiB, CPU %s, %q %s", small.PeakMemory/mib, small.CPU, small.Reason, small.Message)
	}
	bomb := run(t, p, Job{Handler: "bomb", Limits: Limits{Memory: 50 * mib}})
	if bomb.Reason != MemoryLimit || bomb.PeakMemory < 25*mib || bomb.PeakMemory > 400*mib {
		t.Errorf("bomb: peak %d MiB, %q %s", bomb.PeakMemory/mib, bomb.Reason, bomb.Message)
	}
}
