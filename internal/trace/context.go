package trace

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"
)

// Context names a trace and the span it came from. The zero value is none.
type Context struct {
	Trace  [16]byte
	Parent [8]byte // zero: whoever goes on is the first
	Flags  byte    // bit 0: whoever began it wants it exported
}

// sampled is the flag of a trace that is exported.
const sampled = 1

// Len is the length of a traceparent.
const Len = 55

// New returns a fresh trace without a span yet.
func New() (c Context) {
	fill(c.Trace[:])
	c.Flags = sampled
	return c
}

// Sampled reports whether spans of the trace are exported.
func (c Context) Sampled() bool { return c.Flags&sampled != 0 }

// Lease returns the context of one attempt at a subtask of the job whose span is
// c.Parent. The span's name is a function of those, so that a worker which was
// offered c knows the lease that its region will tell of.
func (c Context) Lease(index, attempt int) Context {
	b := append(make([]byte, 0, 40), c.Trace[:]...)
	b = append(b, c.Parent[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(index))
	b = binary.BigEndian.AppendUint64(b, uint64(attempt))
	sum := sha256.Sum256(b)
	copy(c.Parent[:], sum[:])
	c.Parent[0] |= 1 // never zero
	return c
}

// fill writes random bytes of which at least one is not zero.
func fill(b []byte) {
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], rand.Uint64())
	}
	b[0] |= 1
}

// Parse reads a traceparent; false for one that the standard says to ignore.
func Parse(s string) (c Context, ok bool) {
	if len(s) < Len || s[2] != '-' || s[35] != '-' || s[52] != '-' || strings.ToLower(s) != s {
		return Context{}, false
	}
	var version, flags [1]byte
	for _, f := range []struct {
		to   []byte
		text string
	}{{version[:], s[:2]}, {c.Trace[:], s[3:35]}, {c.Parent[:], s[36:52]}, {flags[:], s[53:55]}} {
		if _, err := hex.Decode(f.to, []byte(f.text)); err != nil {
			return Context{}, false
		}
	}
	c.Flags = flags[0]
	switch {
	case version[0] == 0xff, version[0] == 0 && len(s) != Len, len(s) > Len && s[Len] != '-':
		return Context{}, false
	case c.Trace == [16]byte{}, c.Parent == [8]byte{}:
		return Context{}, false
	}
	return c, true
}

// String returns the traceparent, empty for the zero value.
func (c Context) String() string {
	if c == (Context{}) {
		return ""
	}
	b := make([]byte, 0, Len)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, c.Trace[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, c.Parent[:])
	b = append(b, '-')
	return string(hex.AppendEncode(b, []byte{c.Flags}))
}

// ID returns the trace's id as 32 hex digits.
func (c Context) ID() string { return hex.EncodeToString(c.Trace[:]) }

// key is the context key of a Context.
type key struct{}

// With returns ctx with the traceparent of a request; one that is not valid is
// left out, as the standard asks.
func With(ctx context.Context, traceparent string) context.Context {
	c, ok := Parse(traceparent)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, key{}, c)
}

// From returns the context that With put into ctx, or a new one.
func From(ctx context.Context) Context {
	if c, ok := ctx.Value(key{}).(Context); ok {
		return c
	}
	return New()
}
