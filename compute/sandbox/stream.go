package sandbox

import (
	"encoding/binary"
	"os"
	"time"

	"github.com/tenzro/tenzro/core"
)

// A frame of output is a byte for the stream, the offset of its first byte in that
// stream as eight bytes, highest first, and the bytes.
const (
	// MaxPiece is how many bytes of a stream one frame carries at most.
	MaxPiece  = 16 << 10
	pieceHead = 9

	streamOut = 1
	streamErr = 2
)

// A child may say so many frames at once, so many more each second, and one for
// every frameBytes: one that sends each byte alone would keep the parent busy at
// nobody's cost.
const (
	frameBurst = 64
	frameRate  = 100 // per second
	frameBytes = 4 << 10
)

// streams is the child's side: what it has sent of each stream.
type streams struct {
	to     *child
	offset [2]int64
}

// send sends output in pieces.
func (s *streams) send(of core.Stream, data []byte) {
	at, number := 0, byte(streamOut)
	if of == core.Stderr {
		at, number = 1, streamErr
	}
	for len(data) > 0 {
		n := min(len(data), MaxPiece)
		frame := make([]byte, 0, pieceHead+n)
		frame = binary.BigEndian.AppendUint64(append(frame, number), uint64(s.offset[at]))
		if s.to.write(kindOutput, append(frame, data[:n]...)) != nil {
			os.Exit(1) // nobody listens any more
		}
		data, s.offset[at] = data[n:], s.offset[at]+int64(n)
	}
}

// told is the parent's side: what has come of each stream, and in how many frames.
type told struct {
	offset [2]int64
	frames int64
}

// piece takes the body of an output frame. What it returns ends the child.
func (r *running) piece(body []byte, now time.Time) *ending {
	if r.job.Output == nil {
		return &ending{Crash, "the child streams, and nobody asked it to"}
	}
	if len(body) <= pieceHead || body[0] != streamOut && body[0] != streamErr {
		return &ending{Crash, "the child broke the protocol: a piece of no stream"}
	}
	of, at, data := core.Stdout, 0, body[pieceHead:]
	if body[0] == streamErr {
		of, at = core.Stderr, 1
	}
	t := &r.told
	if binary.BigEndian.Uint64(body[1:]) != uint64(t.offset[at]) {
		return &ending{Crash, "the child broke the protocol: a piece that does not follow the one before"}
	}
	t.offset[at] += int64(len(data))
	allowed := frameBurst + int64(now.Sub(r.since).Seconds()*frameRate) + (t.offset[0]+t.offset[1])/frameBytes
	if t.frames++; t.frames > allowed {
		return &ending{Crash, "the child broke the protocol: too many pieces of output"}
	}
	r.job.Output(of, data)
	return nil
}
