package sandbox

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

// TestReasons has children do the worst, one after the other in one pool: each
// job ends with its reason, and the next one is served.
func TestReasons(t *testing.T) {
	p := serve(t, Config{Warm: 1})
	const soon = 300 * time.Millisecond
	for _, c := range []struct {
		name    string
		job     Job
		reason  Reason
		message string
	}{
		{"echo", Job{Handler: "echo", Request: []byte("x")}, OK, ""},
		{"nothing in, nothing out", Job{Handler: "echo"}, OK, ""},
		{"a handler's error", Job{Handler: "fail"}, Crash, "no?[2J such ? thing"},
		{"spins past its time", Job{Handler: "spin", Limits: Limits{Wall: soon}}, Deadline, "300ms"},
		{"sleeps past its time", Job{Handler: "wait", Limits: Limits{Wall: soon}}, Deadline, "300ms"},
		{"spins past its CPU time", Job{Handler: "spin", Limits: Limits{CPU: 50 * time.Millisecond}}, CPULimit, "50ms"},
		{"takes memory without end", Job{Handler: "bomb", Limits: Limits{Memory: 64 << 20}}, MemoryLimit, "memory"},
		{"takes all at once", Job{Handler: "hold", Request: make([]byte, 2000), Limits: Limits{Memory: 64 << 20}}, MemoryLimit, "memory"},
		{"streams without end", Job{Handler: "flood", Output: ignore}, OutputLimit, "more output"},
		{"answers too much", Job{Handler: "echo", Request: make([]byte, 2000), Limits: Limits{Output: 1999}}, OutputLimit, "more output"},
		{"answers just enough", Job{Handler: "echo", Request: make([]byte, 2000), Limits: Limits{Output: 2000}}, OK, ""},
		{"panics", Job{Handler: "panic"}, Crash, "panic: at the disco"},
		{"panics out of reach", Job{Handler: "panic elsewhere"}, Crash, "panic: in the street"},
		{"exits", Job{Handler: "exit"}, Crash, "exit status 3"},
		{"kills itself", Job{Handler: "suicide"}, Crash, ""},
		{"a frame without a name", Job{Handler: "raw", Request: []byte("X\x00\x00\x00\x00")}, Crash, "broke the protocol"},
		{"greets twice", Job{Handler: "raw", Request: []byte("H\x00\x00\x00\x02{}")}, Crash, "broke the protocol"},
		{"claims to answer 4 GiB", Job{Handler: "raw", Request: []byte("R\xff\xff\xff\xff")}, OutputLimit, "more output"},
		{"a piece of 4 GiB", Job{Handler: "raw", Request: []byte("O\xff\xff\xff\xff"), Output: ignore}, Crash, "broke the protocol"},
		{"streams unasked", Job{Handler: "raw", Request: pieces(1, 0, "a")}, Crash, "nobody asked"},
		{"a piece of no stream", Job{Handler: "raw", Request: pieces(3, 0, "a"), Output: ignore}, Crash, "of no stream"},
		{"a piece of nothing", Job{Handler: "raw", Request: pieces(1, 0, ""), Output: ignore}, Crash, "of no stream"},
		{"leaves a gap", Job{Handler: "raw", Request: append(pieces(1, 0, "a"), pieces(1, 2, "c")...), Output: ignore}, Crash, "does not follow"},
		{"streams a byte twice", Job{Handler: "raw", Request: append(pieces(2, 0, "a"), pieces(2, 0, "a")...), Output: ignore}, Crash, "does not follow"},
		{"begins in the middle", Job{Handler: "raw", Request: pieces(2, 1<<40, "a"), Output: ignore}, Crash, "does not follow"},
		{"floods with bytes, each alone", Job{Handler: "drip", Output: ignore}, Crash, "too many pieces"},
		{"a failure too long", Job{Handler: "raw", Request: []byte("F\x00\x10\x00\x00")}, Crash, "broke the protocol"},
		{"lies about its end", Job{Handler: "raw", Request: []byte("D\x00\x00\x00\x15{\"Reason\":\"deadline\"}")}, Crash, "no reason that exists"},
		{"invents a reason", Job{Handler: "raw", Request: []byte("D\x00\x00\x00\x11{\"Reason\":\"gold\"}")}, Crash, "no reason that exists"},
		{"is well again", Job{Handler: "echo", Request: []byte("x")}, OK, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			res := run(t, p, c.job)
			if res.Reason != c.reason || !strings.Contains(res.Message, c.message) {
				t.Fatalf("%q %q after %s, want %q with %q", res.Reason, res.Message, time.Since(start), c.reason, c.message)
			}
			if want := c.job.Request; res.Reason == OK && c.job.Handler == "echo" && !bytes.Equal(res.Response, want) {
				t.Errorf("response %.20q, want %.20q", res.Response, want)
			}
			if res.Reason != OK && res.Response != nil {
				t.Errorf("a response of %d bytes with reason %q", len(res.Response), res.Reason)
			}
			if res.Wall <= 0 || res.Wall > time.Since(start) {
				t.Errorf("wall %s of %s", res.Wall, time.Since(start))
			}
			if c.job.Handler == "spin" && (res.CPU <= 0 || res.Reason == CPULimit && res.CPU < c.job.Limits.CPU) {
				t.Errorf("CPU time %s", res.CPU)
			}
		})
	}
}

// ignore takes output and forgets it.
func ignore(core.Stream, []byte) {}

// pieces is one output frame as a child may make it.
func pieces(stream byte, offset uint64, text string) []byte {
	body := append(binary.BigEndian.AppendUint64([]byte{stream}, offset), text...)
	return append(appendHeader(nil, kindOutput, len(body)), body...)
}
