package local

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs"
	"github.com/tenzro/tenzro/wire"
)

const (
	// keptOutput is how many bytes are kept of what one running subtask wrote last. Too
	// few and whoever listens misses bytes of a program that writes in bursts.
	keptOutput = 256 << 10
	// keptOutputs bounds it for all subtasks of the node together: when they are many,
	// each has its share.
	keptOutputs = 16 << 20
	// beside is what a piece takes besides its bytes, and small how long one may grow
	// by what follows it.
	beside, small = 64, 4 << 10
	// outputLinger is how long the last bytes of a run can be read after its end, if
	// somebody has listened before.
	outputLinger = 5 * time.Second
)

// outputs is what the running subtasks of this node wrote last. Nobody waits for a
// listener: what he misses is gone, and he sees that by the offsets.
type outputs struct {
	mu   sync.Mutex
	logs map[jobs.Key]*outputLog
	kept int // bytes of all logs
}

// outputLog is the output of one run of a subtask. Guarded by outputs.mu, but for
// what never changes: of, key, region, attempt, run.
type outputLog struct {
	of      *outputs
	key     jobs.Key
	region  core.RegionID // that the subtask was taken from: it may ask
	attempt int
	run     uint64

	pieces []core.OutputPiece
	kept   int
	next   core.OutputFrom // what has been written
	over   bool
	asked  bool
	news   chan struct{} // closed when something changes; nil while nobody waits
}

func newOutputs() *outputs { return &outputs{logs: map[jobs.Key]*outputLog{}} }

// begin opens the log of a run, in the place of an earlier one of the same subtask.
func (o *outputs) begin(key jobs.Key, region core.RegionID, attempt int) *outputLog {
	l := &outputLog{of: o, key: key, region: region, attempt: min(max(attempt, 1), wire.MaxAttempt), run: 1 + rand.Uint64N(1<<63)}
	o.mu.Lock()
	defer o.mu.Unlock()
	if old := o.logs[key]; old != nil {
		old.close()
	}
	o.logs[key] = l
	return l
}

// write adds to the log.
func (l *outputLog) write(s core.Stream, data []byte) {
	o := l.of
	o.mu.Lock()
	defer o.mu.Unlock()
	if l.over {
		return
	}
	at := l.next.Known(s)
	*at += int64(len(data))
	data = data[max(0, len(data)-keptOutput):]
	l.add(s, *at-int64(len(data)), data)
	share := min(keptOutput, keptOutputs/len(o.logs))
	l.trim(share)
	if o.kept > keptOutputs { // others have more than their share since there are more of them
		for _, other := range o.logs {
			other.trim(share)
		}
	}
	l.tell()
}

// add appends a piece, or makes the last one longer.
func (l *outputLog) add(s core.Stream, offset int64, data []byte) {
	if n := len(l.pieces); n > 0 {
		last := &l.pieces[n-1]
		if last.Stream == s && last.Offset+int64(len(last.Data)) == offset && len(last.Data)+len(data) <= small {
			last.Data = append(last.Data, data...)
			l.count(len(data))
			return
		}
	}
	l.pieces = append(l.pieces, core.OutputPiece{Stream: s, Offset: offset, Data: bytes.Clone(data)})
	l.count(len(data) + beside)
}

func (l *outputLog) count(n int) {
	l.kept += n
	l.of.kept += n
}

// trim drops the oldest bytes beyond most.
func (l *outputLog) trim(most int) {
	for l.kept > most && len(l.pieces) > 0 {
		first := &l.pieces[0]
		if over := l.kept - most; over < len(first.Data) {
			first.Data, first.Offset = bytes.Clone(first.Data[over:]), first.Offset+int64(over)
			l.count(-over)
			return
		}
		l.count(-len(first.Data) - beside)
		l.pieces[0] = core.OutputPiece{}
		l.pieces = l.pieces[1:]
	}
}

// tell wakes who waits.
func (l *outputLog) tell() {
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
}

// end notes that nothing follows, and forgets the log when nobody listens to it.
func (l *outputLog) end() {
	o := l.of
	o.mu.Lock()
	defer o.mu.Unlock()
	l.over = true
	l.tell()
	if !l.asked {
		l.close()
		return
	}
	time.AfterFunc(outputLinger, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		l.close()
	})
}

// close forgets the log. Called with mu held.
func (l *outputLog) close() {
	l.over = true
	l.trim(0)
	l.tell()
	if l.of.logs[l.key] == l {
		delete(l.of.logs, l.key)
	}
}

// read returns what a subtask of a region has written behind what is known; it
// waits a little while that is nothing.
func (o *outputs) read(ctx context.Context, region core.RegionID, task core.TaskID, from core.OutputFrom) (core.OutputPart, error) {
	ctx, cancel := context.WithTimeout(ctx, wire.OutputWait)
	defer cancel()
	for {
		part, news := o.look(region, jobs.Key{Task: task, Index: from.Subtask}, from)
		switch {
		case part.Run == 0:
			return part, core.Errorf(core.NotFound, "subtask", "subtask %d of task %.64s does not run here", from.Subtask, task)
		case len(part.Pieces) > 0 || part.Over || from.Now:
			return part, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return part, nil
		}
	}
}

// look returns what is there, and what is closed when there is more.
func (o *outputs) look(region core.RegionID, key jobs.Key, from core.OutputFrom) (core.OutputPart, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.logs[key]
	if l == nil || l.region != region {
		return core.OutputPart{}, nil
	}
	l.asked = true
	if from.Run != l.run {
		from = core.OutputFrom{}
	}
	pieces, all := l.behind(from)
	part := core.OutputPart{Run: l.run, Attempt: l.attempt, Pieces: pieces, Over: l.over && all}
	if l.news == nil {
		l.news = make(chan struct{})
	}
	return part, l.news
}

// behind returns the kept pieces behind from, as much as fits into an answer, and
// whether that is all of them.
func (l *outputLog) behind(from core.OutputFrom) (out []core.OutputPiece, all bool) {
	out, room := []core.OutputPiece{}, wire.MaxOutputPart
	for _, p := range l.pieces {
		skip := max(0, *from.Known(p.Stream)-p.Offset)
		if skip >= int64(len(p.Data)) {
			continue
		}
		if room == 0 || len(out) == wire.MaxOutputPieces {
			return out, false
		}
		rest := p.Data[skip:]
		n := min(len(rest), room)
		out = append(out, core.OutputPiece{Stream: p.Stream, Offset: p.Offset + skip, Data: rest[:n:n]})
		if room -= n; n < len(rest) {
			return out, false
		}
	}
	return out, true
}
