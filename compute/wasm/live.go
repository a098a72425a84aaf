package wasm

import (
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
)

// liveEvery is how long what a program writes may wait to be shown: so many frames
// there are at most, however it writes. What has ended before is not shown at all:
// the answer has it.
const liveEvery = 100 * time.Millisecond

// live shows what a program writes while it runs. The result does not depend on it.
type live struct {
	show func(s core.Stream, piece []byte)

	showing sync.Mutex // held while show is called
	over    bool       // nothing may be shown any more; guarded by showing

	mu      sync.Mutex
	outputs [2]*output // their buf is written with mu held
	shown   [2]int     // bytes of each
	waiting *time.Timer
}

// newLive returns what shows the outputs of r with show, nil for nobody.
func newLive(r *run, show func(core.Stream, []byte)) *live {
	if show == nil {
		return nil
	}
	return &live{show: show, outputs: [2]*output{&r.stdout, &r.stderr}}
}

// write adds to an output; soon it is shown.
func (l *live) write(o *output, b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o.buf = append(o.buf, b...)
	if l.waiting == nil && len(b) > 0 {
		l.waiting = time.AfterFunc(liveEvery, func() { l.flush(false) })
	}
}

// flush shows what has not been shown. The program need not wait meanwhile: what is
// in a buffer never changes.
func (l *live) flush(last bool) {
	l.showing.Lock()
	defer l.showing.Unlock()
	if l.over {
		return
	}
	l.over = last
	l.mu.Lock()
	l.waiting = nil
	out, errs := l.outputs[0].buf[l.shown[0]:], l.outputs[1].buf[l.shown[1]:]
	l.shown[0], l.shown[1] = l.shown[0]+len(out), l.shown[1]+len(errs)
	l.mu.Unlock()
	l.show(core.Stdout, out)
	l.show(core.Stderr, errs)
}

// end shows no more once it has returned, and before that, with rest, what has not
// been shown: of a program without a result nobody else has it.
func (l *live) end(rest bool) {
	if l == nil {
		return
	}
	l.mu.Lock()
	if l.waiting != nil {
		l.waiting.Stop()
	}
	l.mu.Unlock()
	if rest {
		l.flush(true)
		return
	}
	l.showing.Lock()
	l.over = true
	l.showing.Unlock()
}
