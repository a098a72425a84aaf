package sim

import (
	"io"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
)

// packet is something on its way.
type packet struct {
	at   time.Time // when it arrives
	data []byte
}

// half is one direction of a connection: what is put into it comes out in order,
// after the network's delay, unless the direction is cut; then it waits.
type half struct {
	net      *network
	from, to *port

	mu       sync.Mutex
	changed  chan struct{} // closed when anything below changes
	queue    []packet
	last     time.Time // when the last packet arrives
	ended    bool      // nothing follows
	gone     bool      // at once, whatever is on its way
	deadline time.Time // of a read
}

func newHalf(n *network, from, to *port) *half {
	return &half{net: n, from: from, to: to, changed: make(chan struct{})}
}

// wake tells a reader to look again. Called with mu held.
func (h *half) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// put sends data, which is the half's then.
func (h *half) put(data []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended || h.gone {
		return io.ErrClosedPipe
	}
	if h.from.down() {
		return nil // the node has crashed and does not know
	}
	h.queue = append(h.queue, packet{h.arrival(), data})
	h.wake()
	return nil
}

// arrival is when what is sent now arrives. Called with mu held.
func (h *half) arrival() time.Time {
	at := time.Now().Add(h.net.delay(h.from.id, h.to.id))
	if at.Before(h.last) {
		at = h.last
	}
	h.last = at
	return at
}

// end ends the direction behind what was sent.
func (h *half) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.arrival()
	h.ended = true
	h.wake()
}

// tear ends the direction at once.
func (h *half) tear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = true
	h.wake()
}

func (h *half) setDeadline(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deadline = t
	h.wake()
}

// timeout is the error of a deadline that passed; it is a net.Error.
type timeout struct{}

func (timeout) Error() string   { return "the deadline passed" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

// take returns the next packet when it arrives, or why none will.
func (h *half) take(done <-chan struct{}) ([]byte, error) {
	for {
		data, wait, err := h.look()
		if data != nil || err != nil {
			return data, err
		}
		if err := wait.until(done, h.to.ctx.Done()); err != nil {
			return nil, err
		}
	}
}

// waiting is what may change the answer of a half.
type waiting struct {
	changed, net <-chan struct{}
	at           time.Time // zero: nothing is on its way
}

func (w waiting) until(done, down <-chan struct{}) error {
	var timer <-chan time.Time
	if !w.at.IsZero() {
		t := time.NewTimer(time.Until(w.at))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-w.changed:
	case <-w.net:
	case <-timer:
	case <-done:
		return core.Errorf(core.Timeout, "link", "nobody waits any more")
	case <-down:
		return io.EOF
	}
	return nil
}

func (h *half) look() (data []byte, w waiting, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	blocked, netChanged := h.net.blocked(h.from.id, h.to.id)
	now := time.Now()
	w = waiting{changed: h.changed, net: netChanged, at: h.deadline}
	next := h.last
	if len(h.queue) > 0 {
		next = h.queue[0].at
	}
	switch {
	case h.gone || h.to.down():
		return nil, w, io.EOF
	case !h.deadline.IsZero() && !now.Before(h.deadline):
		return nil, w, timeout{}
	case blocked:
		return nil, w, nil
	case len(h.queue) > 0 && !now.Before(next):
		data, h.queue = h.queue[0].data, h.queue[1:]
		return data, w, nil
	case h.ended && len(h.queue) == 0 && !now.Before(next):
		return nil, w, io.EOF
	}
	if (len(h.queue) > 0 || h.ended) && (w.at.IsZero() || next.Before(w.at)) {
		w.at = next
	}
	return nil, w, nil
}
