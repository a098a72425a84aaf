package chaos

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tenzro/tenzro/compute/vector"
	"github.com/tenzro/tenzro/core"
)

const (
	// elementTime is what the operations of heavy work cost for one element.
	elementTime = 11 * time.Microsecond
	sigmoids    = 60
	// maxElements keeps the body of a job below 300 kB.
	maxElements = 100_000
)

// Work is what every job of a load asks for. Each job has another result, known
// beforehand, so that a result that belongs to another job is noticed.
type Work struct {
	// CPU is about how long one core is busy with a job; 0 is a job that costs
	// nothing.
	CPU time.Duration `json:"cpuNs,omitempty"`
	// Parts is how many subtasks it is cut into; 0 counts as 1.
	Parts int `json:"parts,omitempty"`
}

func (w Work) parts() int { return max(1, w.Parts) }

// task returns the body of the i-th job and its result.
func (w Work) task(i int, timeout time.Duration) (body []byte, want string) {
	input, operations, base := "1,2,3,4,5", `"square","sum"`, 55
	if w.CPU > 0 {
		n := min(maxElements, max(w.parts(), int(w.CPU/elementTime)))
		// The sigmoid of a sigmoid, often enough, rounds to 1 whatever it began with.
		input, operations, base = strings.Repeat("1,", n-1)+"1", strings.Repeat(`"sigmoid",`, sigmoids)+`"round","sum"`, n
	}
	body = fmt.Appendf(nil, `{"type":"compute","data":{"input":[%s],"operations":[%s,{"op":"add","value":%d}]},"parallelism":%d,"timeoutMs":%d,"queueTimeoutMs":%d}`,
		input, operations, i, w.parts(), timeout.Milliseconds(), timeout.Milliseconds())
	return body, fmt.Sprint(base + i)
}

// units is what workers are credited for a job in all.
func (w Work) units() (uint64, error) {
	body, _ := w.task(0, time.Minute)
	var spec core.TaskSpec
	if err := json.Unmarshal(body, &spec); err != nil {
		return 0, err
	}
	cost, err := vector.New().Check(spec.Data)
	return uint64(w.parts()) * max(1, uint64(cost.Units)/uint64(w.parts())), err
}
