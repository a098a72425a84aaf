package wire

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/tenzro/tenzro/core"
)

// Bounds of a frame.
const (
	// MaxFrame is the largest frame in bytes, without the length before it.
	MaxFrame = 64 << 10
	// MaxItems is the most messages in one frame.
	MaxItems = 64
	// MaxBody is the largest body any type may have: a frame has room for it.
	MaxBody = 60 << 10
)

// Batch is the messages of one frame, in order.
type Batch struct {
	Bodies  []Body
	Unknown int // items of a type that this version does not know: dropped
}

// The frame around the bodies is fixed to the byte.
const (
	frameOpen  = `{"v":1,"items":[`
	frameClose = `]}`
	itemOpen   = `{"type":"`
	itemBody   = `","body":`
	itemClose  = `}`
)

// AppendBatch appends one frame to dst with as many leading bodies as fit, at
// most MaxItems, and returns how many those were: call it again with the rest.
// A body that is not valid (Invalid) or fits into no frame (Exhausted: send its
// payload by reference) is an error once it is the first; dst is then returned
// as it came. Inline payloads are written byte for byte.
func AppendBatch(dst []byte, bodies ...Body) ([]byte, int, error) {
	if len(bodies) == 0 {
		return dst, 0, core.Errorf(core.Invalid, "items", "a frame has 1 to %d items, not none", MaxItems)
	}
	start := len(dst)
	dst = append(dst, frameOpen...)
	taken := 0
	for taken < min(len(bodies), MaxItems) {
		room := MaxFrame - len(frameClose) - (len(dst) - start)
		next, err := appendItem(dst, bodies[taken], taken, room)
		if err != nil && taken == 0 {
			return dst[:start], 0, err
		}
		if err != nil {
			break
		}
		dst = next
		taken++
	}
	return append(dst, frameClose...), taken, nil
}

// appendItem appends item n, or fails and leaves dst's length alone.
func appendItem(dst []byte, b Body, n, room int) ([]byte, error) {
	from := len(dst)
	if n > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, itemOpen...)
	dst = append(dst, b.Type()...)
	dst = append(dst, itemBody...)
	dst, err := appendBody(dst, b, room-(len(dst)-from)-len(itemClose))
	if err != nil {
		return nil, err
	}
	return append(dst, itemClose...), nil
}

// DecodeBatch reads one frame. Items of unknown types are counted and dropped;
// anything else that is wrong, in any item, makes the whole frame an error, of which
// NotValid may be asked.
func DecodeBatch(frame []byte) (Batch, error) {
	if len(frame) > MaxFrame {
		return Batch{}, core.Errorf(core.Invalid, "", "frame has %d bytes; at most %d", len(frame), MaxFrame)
	}
	var out Batch
	r := reader{b: frame}
	if f := r.batch(&out); f != nil {
		return Batch{}, f
	}
	return out, nil
}

// batch reads the frame around the items.
func (r *reader) batch(out *Batch) error {
	if !r.take(frameOpen) {
		return r.otherVersion()
	}
	for n := 0; ; n++ {
		if n == MaxItems {
			return core.Errorf(core.Invalid, "items", "frame has more than %d items", MaxItems)
		}
		if err := r.item(n, out); err != nil {
			return err
		}
		if !r.take(",") {
			break
		}
	}
	if !r.take(frameClose) || r.i != len(r.b) {
		return r.unframed()
	}
	return nil
}

// otherVersion tells a frame of another version from one that is no frame.
func (r *reader) otherVersion() error {
	if !r.take(`{"v":`) {
		return r.unframed()
	}
	from := r.i
	if !r.digits() || string(r.b[from:r.i]) == "1" {
		return r.unframed()
	}
	return core.Errorf(core.Unsupported, "v", "frame is not of version 1")
}

// item reads one message.
func (r *reader) item(n int, out *Batch) error {
	if !r.take(itemOpen) {
		return r.unframed()
	}
	t, ok := r.typeName()
	if !ok || !r.take(itemBody) {
		return r.unframed()
	}
	e, known := registry[Type(t)]
	if !known {
		out.Unknown++
	}
	b, err := r.message(e, n)
	if err != nil {
		return err
	}
	if !r.take(itemClose) {
		return r.unframed()
	}
	if known {
		out.Bodies = append(out.Bodies, b)
	}
	return nil
}

// message reads the body of item n; that of an unknown type, whose entry is
// zero, is only read over.
func (r *reader) message(e entry, n int) (Body, error) {
	var b Body
	var into reflect.Value
	if e.empty != nil {
		b = e.empty()
		into = reflect.ValueOf(b).Elem()
	}
	from := r.i
	if f := r.top(e.shape, into); f != nil {
		err := f.under(itemPath(n)).err()
		if f.value {
			err = notValid{err}
		}
		return nil, err
	}
	if b == nil {
		return nil, nil
	}
	size := r.i - from
	if err := e.check(b, size); err != nil {
		err = within(itemPath(n), err)
		if size <= e.limit {
			err = notValid{err}
		}
		return nil, err
	}
	return b, nil
}

// notValid is why a message that is well-formed is refused.
type notValid struct{ error }

// Unwrap makes its kind and path known.
func (e notValid) Unwrap() error { return e.error }

// NotValid reports whether an error of DecodeBatch says that a message is well-formed,
// with the keys, the types and the size that it may have, but has a value that it may
// not: one beyond a bound, or one that this version does not know. A newer version sends
// that in good faith; what does not decode, nobody does.
func NotValid(err error) bool {
	var e notValid
	return errors.As(err, &e)
}

// take reads exactly s and reports whether it was there.
func (r *reader) take(s string) bool {
	if len(r.b)-r.i < len(s) || string(r.b[r.i:r.i+len(s)]) != s {
		return false
	}
	r.i += len(s)
	return true
}

// typeName reads 1 to 32 characters of a-z, 0-9 and '_'.
func (r *reader) typeName() ([]byte, bool) {
	from := r.i
	for r.i < len(r.b) && r.i-from <= maxTypeName && typeChar(r.b[r.i]) {
		r.i++
	}
	return r.b[from:r.i], r.i > from && r.i-from <= maxTypeName
}

const maxTypeName = 32

func typeChar(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' }

func (r *reader) unframed() error {
	return core.Errorf(core.Invalid, "", "frame is not in its exact form at byte %d", r.i)
}

func itemPath(n int) string { return fmt.Sprintf("items[%d].body", n) }
