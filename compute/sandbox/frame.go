package sandbox

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/tenzro/tenzro/core"
)

// kind is the first byte of a frame; its length follows as four bytes, highest
// first, and then so many bytes.
type kind byte

const (
	kindHello    kind = 'H' // child: I am ready; a greeting in JSON
	kindJob      kind = 'J' // parent: an order in JSON
	kindRequest  kind = 'Q' // parent: the request, right after the order
	kindOutput   kind = 'O' // child: a piece of output: its stream, its offset, its bytes
	kindUsage    kind = 'U' // child: what the job used, right before its end
	kindResponse kind = 'R' // child: the response, last frame of a job
	kindFailure  kind = 'F' // child: the handler's error, last frame of a job
	kindDying    kind = 'D' // child: why I end now, last frame of all
)

const (
	headerSize = 5
	maxSmall   = 64 << 10 // bytes of hello, order, usage, failure and dying
	maxPiece   = 64 << 10 // bytes that are written or read in one go
)

// appendHeader adds the header of a frame with n bytes.
func appendHeader(b []byte, k kind, n int) []byte {
	return binary.BigEndian.AppendUint32(append(b, byte(k)), uint32(n))
}

// writeFrame writes one frame with a single call for small ones.
func writeFrame(w io.Writer, k kind, data []byte) error {
	frame := appendHeader(make([]byte, 0, headerSize+min(len(data), maxPiece)), k, len(data))
	if len(data) <= maxPiece {
		_, err := w.Write(append(frame, data...))
		return err
	}
	if _, err := w.Write(frame); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

// readHeader reads the head of the next frame. io.EOF is the clean end.
func readHeader(r io.Reader) (kind, int64, error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, err
	}
	return kind(head[0]), int64(binary.BigEndian.Uint32(head[1:])), nil
}

// readBody reads the n bytes of a frame. It takes memory as they arrive, so that
// a claimed length alone costs nothing.
func readBody(r io.Reader, n int64) ([]byte, error) {
	if n <= maxPiece {
		data := make([]byte, n)
		_, err := io.ReadFull(r, data)
		return data, err
	}
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, r, n); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// expect reads a frame of kind want and at most limit bytes.
func expect(r io.Reader, want kind, limit int64) ([]byte, error) {
	k, n, err := readHeader(r)
	switch {
	case err != nil:
		return nil, err
	case k != want:
		return nil, core.Errorf(core.Corrupt, "frame", "kind %q, want %q", byte(k), byte(want))
	case n > limit:
		return nil, core.Errorf(core.Corrupt, "frame", "%d bytes of kind %q, at most %d are allowed", n, byte(k), limit)
	}
	return readBody(r, n)
}
