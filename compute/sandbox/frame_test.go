package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

// TestFrames: what is written is read, and what is too long, of another kind or
// cut off is an error before memory is taken for it.
func TestFrames(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 3*maxPiece)
	for name, c := range map[string]struct {
		in    []byte
		limit int64
		want  []byte
		err   error
	}{
		"empty":             {framed(t, kindJob, nil), 0, []byte{}, nil},
		"small":             {framed(t, kindJob, []byte("abc")), 3, []byte("abc"), nil},
		"big":               {framed(t, kindJob, big), int64(len(big)), big, nil},
		"one byte too long": {framed(t, kindJob, []byte("abcd")), 3, nil, core.Corrupt},
		"4 GiB claimed":     {[]byte("J\xff\xff\xff\xff"), maxSmall, nil, core.Corrupt},
		"another kind":      {framed(t, kindOutput, nil), 10, nil, core.Corrupt},
		"nothing":           {nil, 10, nil, io.EOF},
		"half a header":     {[]byte("J\x00"), 10, nil, io.ErrUnexpectedEOF},
		"half a body":       {[]byte("J\x00\x00\x00\x05abc"), 10, nil, io.ErrUnexpectedEOF},
		"half a big body":   {framed(t, kindJob, big)[:2*maxPiece], 1 << 30, nil, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := expect(bytes.NewReader(c.in), kindJob, c.limit)
			if !errors.Is(err, c.err) || c.err == nil && !bytes.Equal(got, c.want) {
				t.Errorf("%.20q, %v; want %.20q, %v", got, err, c.want, c.err)
			}
		})
	}
}

func framed(t testing.TB, k kind, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := writeFrame(&buf, k, data); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// FuzzChild plays a hostile child to the parent's reader: it never panics, never
// takes more output than allowed, and ends with the bytes.
func FuzzChild(f *testing.F) {
	for _, frames := range [][]byte{
		append(pieces(1, 0, "abc"), framed(f, kindResponse, []byte("d"))...),
		append(pieces(1, 0, "abc"), pieces(2, 0, "d")...),
		append(pieces(1, 0, "abc"), pieces(1, 2, "d")...),
		append(framed(f, kindUsage, []byte(`{"CPU":1}`)), framed(f, kindFailure, []byte("no"))...),
		framed(f, kindDying, []byte(`{"Reason":"memory_limit","Message":"x"}`)),
		framed(f, kindHello, []byte("{}")),
		[]byte("O\xff\xff\xff\xff"),
	} {
		f.Add(frames)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 64
		said := 0
		job := &running{left: limit, done: make(chan answer, 1), job: Job{Output: func(_ core.Stream, b []byte) { said += len(b) }}}
		g := &guest{}
		g.current.Store(job)
		r := bufio.NewReader(bytes.NewReader(data))
		var why *ending
		for why == nil {
			why = g.frame(r)
		}
		select {
		case a := <-job.done:
			said += len(a.response)
		default:
		}
		if said > limit || len(why.message) > 2*maxMessage {
			t.Errorf("%d bytes of output, message of %d", said, len(why.message))
		}
	})
}

// FuzzParent plays a parent to the child's loop, whose handler only echoes.
func FuzzParent(f *testing.F) {
	f.Add(append(framed(f, kindJob, []byte(`{"Handler":"echo","Memory":1000000}`)), framed(f, kindRequest, []byte("x"))...))
	f.Add(framed(f, kindRequest, nil))
	f.Add([]byte("J\xff\xff\xff\xff{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &child{handlers: map[string]Handler{"echo": echo}, ctx: context.Background(), in: bufio.NewReader(bytes.NewReader(data)), out: io.Discard, watch: newSelfWatch(nil)}
		limit := time.Now().Add(10 * time.Second)
		for c.next() {
			if time.Now().After(limit) {
				t.Fatal("it does not end")
			}
		}
	})
}

// TestCut keeps hostile text out of logs.
func TestCut(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "",
		"plain":              "plain",
		"two\nlines\t":       "two lines",
		"\x1b[31mred":        "?[31mred",
		"\xff\xfe":           "??",
		"0123456789abcdef":   "0123456789",
		"\u00e9\u00e9\u00e9": "???",
	} {
		if got := cut(in, 10); got != want {
			t.Errorf("cut(%q) = %q, want %q", in, got, want)
		}
	}
}
