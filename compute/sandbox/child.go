package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"time"
)

// How a child knows that it is one: both must match.
const (
	childName = "tenzro-guest" // its argv[0]
	childEnv  = "TENZRO_GUEST" // the environment variable with its birth in JSON
)

// The descriptors of a child besides the standard three.
const (
	requestFD  = 3
	responseFD = 4
)

// birth is what the parent tells a child before anything else.
type birth struct {
	Dir      string // the directory it may use, "" for none
	Users    bool   // whether it has a user namespace of its own, in which only its threads count
	Confined bool   // whether the kernel already keeps it from all other files
}

// greeting is the first frame of a child, sent before any guest ran in it.
type greeting struct {
	Handlers []string
	Walls    []string // names of the protections it put up itself
}

// order is a job without its request.
type order struct {
	Handler string
	Memory  int64
	CPU     time.Duration
	Stream  bool // somebody wants the output while it appears
}

// usage is what a child says of itself just before it answers.
type usage struct {
	CPU  time.Duration
	Peak int64
}

// dying is the last frame of a child that ends by itself.
type dying struct {
	Reason  Reason
	Message string
	Used    usage // where the parent cannot see it
}

// Main serves as a child when this process was started as one, and returns true
// when its parent has no more work. It returns false at once in any other
// process. It must be called before the program starts goroutines or opens
// files: first thing in main, or in the TestMain of a package that uses a Pool.
func Main(handlers map[string]Handler) bool {
	text := os.Getenv(childEnv)
	if text == "" || os.Args[0] != childName {
		return false
	}
	var b birth
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return false
	}
	os.Unsetenv(childEnv)
	serveChild(b, handlers)
	return true
}

// child is the state of a process that serves.
type child struct {
	handlers map[string]Handler
	ctx      context.Context
	in       *bufio.Reader
	watch    *selfWatch

	mu  sync.Mutex // frames are written whole
	out io.Writer
}

func serveChild(b birth, handlers map[string]Handler) {
	c := &child{handlers: handlers, ctx: withGranted(context.Background(), b.Dir),
		in: bufio.NewReader(os.NewFile(requestFD, "requests")), out: os.NewFile(responseFD, "responses")}
	c.watch = newSelfWatch(c.die)
	debug.SetGCPercent(-1)
	go c.watch.run()
	hello := greeting{Walls: raiseWalls(b)}
	for name := range handlers {
		hello.Handlers = append(hello.Handlers, name)
	}
	slices.Sort(hello.Handlers)
	text, err := json.Marshal(hello)
	if err != nil || c.write(kindHello, text) != nil {
		return
	}
	for c.next() {
	}
}

// next serves one job; false means that there are no more.
func (c *child) next() bool {
	text, err := expect(c.in, kindJob, maxSmall)
	if err != nil {
		return false
	}
	var o order
	if json.Unmarshal(text, &o) != nil {
		return false
	}
	request, err := expect(c.in, kindRequest, MaxRequest)
	if err != nil {
		return false
	}
	debug.SetMemoryLimit(heapGoal(o.Memory))
	c.watch.begin(o)
	response, err := c.call(o, request)
	request = nil
	trim()
	if used, ok := c.watch.end(); ok && !c.tell(used) {
		return false
	}
	if err != nil {
		return c.write(kindFailure, []byte(cut(err.Error(), maxMessage))) == nil
	}
	return c.write(kindResponse, response) == nil
}

// tell says what a job used, on systems where the parent cannot see it.
func (c *child) tell(used usage) bool {
	text, err := json.Marshal(used)
	return err == nil && c.write(kindUsage, text) == nil
}

// call runs the handler; a panic ends the process, since nobody knows what it
// left behind.
func (c *child) call(o order, request []byte) ([]byte, error) {
	defer func() {
		if r := recover(); r != nil {
			c.die(Crash, fmt.Sprintf("panic: %v", r))
		}
	}()
	handler := c.handlers[o.Handler]
	if handler == nil {
		return nil, fmt.Errorf("there is no handler %q", cut(o.Handler, 64))
	}
	if !o.Stream {
		return handler(c.ctx, request, nil)
	}
	return handler(c.ctx, request, (&streams{to: c}).send)
}

func (c *child) write(k kind, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return writeFrame(c.out, k, data)
}

const (
	// lastLimit is how long a child that ends by itself tries to say why in a frame.
	lastLimit = 250 * time.Millisecond
	// lastCry begins the line on standard error that says it otherwise.
	lastCry = "sandbox child ends: "
)

// die tells the parent why and ends the process. It does not wait long for a writer
// that is stuck because the parent does not read: then standard error has to do,
// and should that be full too, nothing.
func (c *child) die(reason Reason, message string) {
	message = cut(message, maxMessage)
	time.AfterFunc(lastLimit, func() {
		fmt.Fprintf(os.Stderr, "\n%s%s %s\n", lastCry, reason, message)
		os.Exit(1)
	})
	time.AfterFunc(2*lastLimit, func() { os.Exit(1) })
	used, _ := c.watch.end()
	text, err := json.Marshal(dying{Reason: reason, Message: message, Used: used})
	if err == nil {
		_ = c.write(kindDying, text)
	}
	os.Exit(1)
}

// heapGoal is the soft limit of the garbage collector for a job of so many bytes
// of memory: what the runtime itself holds when idle comes on top.
func heapGoal(memory int64) int64 {
	const idle = 16 << 20
	return idle + memory - memory/8
}

// trim collects the garbage of jobs when there is some, and gives memory back to the
// system after one that took much: a small job pays for neither.
func trim() {
	const some, much = 16 << 20, 24 << 20
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(sample)
	held := uint64(0)
	for _, s := range sample {
		if s.Value.Kind() == metrics.KindUint64 {
			held += s.Value.Uint64()
		}
	}
	switch objects := sample[0].Value; {
	case held > much:
		debug.FreeOSMemory()
	case objects.Kind() == metrics.KindUint64 && objects.Uint64() > some:
		runtime.GC()
	}
}

// maxMessage bounds a text for people, in bytes.
const maxMessage = 512

// cut returns at most n bytes of s, all of them printable ASCII.
func cut(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, s[:min(len(s), 4*n)])
	return strings.TrimSpace(s[:min(len(s), n)])
}

// usualGC is how much garbage the collector waits for in Churn, percent.
const usualGC = 100

// Churn runs fn, which makes much garbage, with the collector at its usual pace.
// Everywhere else in a child it is off, but for when a job's memory runs short and
// between jobs: it has to stop all goroutines, a guest in compiled code does not stop
// before it calls the host, and until then nothing else in the child runs.
func Churn(ctx context.Context, fn func() error) error {
	if ctx.Value(grantedKey{}) == nil { // not a child: the process is not ours
		return fn()
	}
	debug.SetGCPercent(usualGC)
	defer debug.SetGCPercent(-1)
	defer runtime.GC() // none is going on once this has returned
	return fn()
}

// grantedKey is the context key of the directory a handler may use.
type grantedKey struct{}

func withGranted(ctx context.Context, dir string) context.Context {
	return context.WithValue(ctx, grantedKey{}, dir)
}

// Granted returns the directory that a handler called with ctx may read and
// write, "" for none: Config.Dir where the system can confine a child to it.
func Granted(ctx context.Context) string {
	dir, _ := ctx.Value(grantedKey{}).(string)
	return dir
}
