package p2p

// Bounds of what a session keeps until the peer acknowledged it; Send blocks
// beyond them.
const (
	windowFrames = 1024
	windowBytes  = 8 << 20
)

// window holds the frames sent and not yet acknowledged, in order. It is pure:
// the session locks it.
//
// Invariants: first <= next <= first+len(frames); written < first+len(frames);
// next <= written+1.
type window struct {
	frames  [][]byte // header and payload, of sequences first, first+1, ...
	first   uint64   // sequence of frames[0]; everything before is acknowledged
	next    uint64   // sequence to put on the current stream next
	written uint64   // highest sequence that was ever put on a stream
	bytes   int
}

func newWindow() window { return window{first: 1, next: 1} }

// full reports whether a frame of n bytes has to wait. An empty window takes any.
func (w *window) full(n int) bool {
	return len(w.frames) >= windowFrames || len(w.frames) > 0 && w.bytes+n > windowBytes
}

// push appends a payload as a frame of its own, copying it.
func (w *window) push(payload []byte) {
	frame := make([]byte, frameHeader+len(payload))
	header{length: uint32(len(payload)), seq: w.first + uint64(len(w.frames))}.put(frame)
	copy(frame[frameHeader:], payload)
	w.frames = append(w.frames, frame)
	w.bytes += len(frame)
}

// take returns the next frame to write, nil when all are written.
func (w *window) take() []byte {
	i := w.next - w.first
	if i >= uint64(len(w.frames)) {
		return nil
	}
	w.written = max(w.written, w.next)
	w.next++
	return w.frames[i]
}

// ack forgets the frames up to and including seq and reports whether there were
// any. Acknowledging what was never written breaks the protocol.
func (w *window) ack(seq uint64) (freed bool, err error) {
	if seq > w.written {
		return false, broke(brokeAck, "frame %d acknowledged; the last one written is %d", seq, w.written)
	}
	if seq < w.first {
		return false, nil
	}
	n := seq - w.first + 1
	for i, f := range w.frames[:n] {
		w.bytes -= len(f)
		w.frames[i] = nil
	}
	if w.frames = w.frames[n:]; len(w.frames) == 0 {
		w.frames = nil
	}
	w.first = seq + 1
	w.next = max(w.next, w.first)
	return true, nil
}

// rewind continues on a new stream at the frame the peer expects.
func (w *window) rewind(expected uint64) error {
	if expected < w.first {
		return broke(brokeHandshake, "frame %d expected, which was acknowledged before", expected)
	}
	if _, err := w.ack(expected - 1); err != nil {
		return err
	}
	w.next = expected
	return nil
}

// drop forgets everything that is kept, as nobody will ask for it.
func (w *window) drop() {
	w.first += uint64(len(w.frames))
	w.next, w.frames, w.bytes = w.first, nil, 0
}
