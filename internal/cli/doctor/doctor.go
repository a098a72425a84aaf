package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"syscall"
	"time"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/compute/sandbox"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
	"github.com/tenzro/tenzro/node"
)

// Status is the verdict of a check.
type Status string

// The verdicts.
const (
	OK   Status = "OK"
	Warn Status = "WARN" // it works, or it cannot be told
	Fail Status = "FAIL" // it keeps the node from working
)

// Line is one verdict. Fix is empty for OK and never otherwise.
type Line struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

// Input is what is examined.
type Input struct {
	Home      string
	KeyFile   string
	Config    *node.Config    // nil when it is not valid
	ConfigErr error           // why it is not
	Runtime   *client.Runtime // what the home says of its node; nil for none
	Client    *client.Client  // how to reach the node; nil for none
	ClockURL  string          // an HTTP server whose clock is trusted; empty: the node's peers, else the gateways beside the bootstrap nodes
	Version   string          // of this program
	System    System
}

// System is what is asked of the machine.
type System interface {
	Now() time.Time
	FreeBytes(path string) (uint64, error)
	DescriptorLimit() (uint64, error)
	Walls() []sandbox.Protection
}

// Machine is the System of the machine we run on.
type Machine struct{}

var _ System = Machine{}

// Now returns the time.
func (Machine) Now() time.Time { return time.Now() }

// FreeBytes returns what an ordinary user may still write below path.
func (Machine) FreeBytes(path string) (uint64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(path, &fs); err != nil {
		return 0, err
	}
	return fs.Bavail * uint64(fs.Bsize), nil
}

// DescriptorLimit returns how many files and connections a process may have
// open. Go programs raise the soft limit to the hard one, so a node has it too.
func (Machine) DescriptorLimit() (uint64, error) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return limit.Cur, err
}

// Walls returns what keeps the work of strangers from this machine.
func (Machine) Walls() []sandbox.Protection { return sandbox.Active() }

// checkLimit is how long one question to somebody else may take.
const checkLimit = 3 * time.Second

// Examine runs every check, in the order a person would repair things.
func Examine(ctx context.Context, in Input) []Line {
	found := in.askNode(ctx)
	var lines []Line
	for _, check := range []func() []Line{
		in.config, in.home, in.key,
		func() []Line { return in.ports(ctx, found) },
		in.diskSpace, in.descriptors, in.walls,
		func() []Line { return in.containers(ctx) },
		func() []Line { return in.bootstrap(ctx) },
		func() []Line { return in.running(found) },
		func() []Line { return in.reachability(found) },
		func() []Line { return in.peers(found) },
		func() []Line { return in.clock(ctx, found) },
		func() []Line { return in.version(found) },
	} {
		lines = append(lines, check()...)
	}
	return lines
}

// Failed counts the FAIL lines.
func Failed(lines []Line) int {
	n := 0
	for _, l := range lines {
		if l.Status == Fail {
			n++
		}
	}
	return n
}

// answers is what the running node said; err is why it did not.
type answers struct {
	err    error
	ready  error
	status api.NodeStatus
	peers  []api.Peer
}

func (in Input) askNode(ctx context.Context) answers {
	var a answers
	if in.Client == nil {
		a.err = core.Errorf(core.Unavailable, "doctor", "no node runs from %s", in.Home)
		return a
	}
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	if a.err = in.Client.GetInto(ctx, "/api/v1/node", nil, &a.status); a.err != nil {
		return a
	}
	a.ready = in.Client.GetInto(ctx, "/readyz", nil, new(any))
	var page struct{ Peers []api.Peer }
	a.err = in.Client.GetInto(ctx, "/api/v1/peers", url.Values{}, &page)
	a.peers = page.Peers
	return a
}

func one(check string, s Status, fix, format string, args ...any) []Line {
	return []Line{{Check: check, Status: s, Detail: fmt.Sprintf(format, args...), Fix: fix}}
}

func okay(check, format string, args ...any) []Line { return one(check, OK, "", format, args...) }

// hint returns the fix an error carries, or fallback.
func hint(err error, fallback string) string {
	var known *core.Error
	if errors.As(err, &known) && known.Hint != "" {
		return known.Hint
	}
	return fallback
}
