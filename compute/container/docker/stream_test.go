package docker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/tenzro/tenzro/compute/container/docker"
	"github.com/tenzro/tenzro/compute/container/docker/dockertest"
	"github.com/tenzro/tenzro/core"
)

func frame(kind byte, text string) []byte {
	head := [8]byte{kind}
	binary.BigEndian.PutUint32(head[4:], uint32(len(text)))
	return append(head[:], text...)
}

var errFull = errors.New("full")

// bounded is a writer with room for some bytes.
type bounded struct {
	bytes.Buffer
	room int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.room {
		return 0, errFull
	}
	return b.Buffer.Write(p)
}

// TestDemux takes outputs apart.
func TestDemux(t *testing.T) {
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, c := range map[string]struct {
		stream   []byte
		out, err string
		fails    error
	}{
		"nothing":      {nil, "", "", nil},
		"both":         {join(frame(1, "a"), frame(2, "b"), frame(1, "c")), "ac", "b", nil},
		"empty frame":  {join(frame(1, ""), frame(2, "b")), "", "b", nil},
		"half a head":  {[]byte{1, 0, 0}, "", "", core.Corrupt},
		"half a frame": {frame(1, "abc")[:9], "a", "", core.Corrupt},
		"kind 0":       {frame(0, "a"), "", "", core.Corrupt},
		"kind 3":       {join(frame(2, "b"), frame(3, "a")), "", "b", core.Corrupt},
		"no frame":     {[]byte("\x01\x01\x00\x00\x00\x00\x00\x01a"), "", "", core.Corrupt},
		"too much":     {join(frame(1, "a"), frame(1, string(make([]byte, 100_000)))), "", "", errFull},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr := &bounded{room: 1000}, &bounded{room: 1000}
			err := docker.Demux(bytes.NewReader(c.stream), stdout, stderr)
			if !errors.Is(err, c.fails) || c.fails == nil && err != nil {
				t.Fatalf("%v, want %v", err, c.fails)
			}
			if c.fails != errFull && (stdout.String() != c.out || stderr.String() != c.err) {
				t.Errorf("%q and %q, want %q and %q", stdout, stderr, c.out, c.err)
			}
		})
	}
}

// FuzzDemux: whatever a stream is made of, it ends, and no more is handed on than came.
func FuzzDemux(f *testing.F) {
	f.Add(frame(1, "a"))
	f.Add(append(frame(2, "stderr"), frame(1, "")...))
	f.Add([]byte("\x01\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var stdout, stderr bytes.Buffer
		err := docker.Demux(bytes.NewReader(stream), &stdout, &stderr)
		if stdout.Len()+stderr.Len() > len(stream) || err != nil && !errors.Is(err, core.Corrupt) {
			t.Fatalf("%d and %d bytes of %d, %v", stdout.Len(), stderr.Len(), len(stream), err)
		}
	})
}

// FuzzAnswers: whatever an engine answers to every question, each ends with a value or an
// error of a known kind.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{`{"Id":"abc","State":{"ExitCode":1}}`, `[{"Id":"abc","Names":["/x"]}]`, `{"Volumes":[{"Name":"x"}]}`, `{"error":"x"}`,
		`{"Id":"../x"}`, `[null]`, "\x00", `{"message":"` + "\x1b[2J" + `"}`} {
		f.Add(200, []byte(seed))
		f.Add(500, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		status = 200 + max(status, -status)%400
		if status < 0 || status == 204 || status == 304 {
			status = 200
		}
		e := dockertest.New(t)
		e.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/version" {
				return false
			}
			w.WriteHeader(status)
			_, _ = w.Write(body)
			return true
		}
		c, _, err := docker.Open(t.Context(), e.Socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx := t.Context()
		_, info := c.Info(ctx)
		_, image := c.Image(ctx, "x")
		id, create := c.Create(ctx, "x", docker.Spec{})
		_, state := c.State(ctx, "abc")
		names, list := c.Containers(ctx, "a", "b")
		more, volumes := c.Volumes(ctx, "a", "b")
		for _, err := range []error{info, image, create, state, list, volumes, c.Start(ctx, "abc"), c.Wait(ctx, "abc"), c.Remove(ctx, "abc"),
			c.RemoveVolume(ctx, "x"), c.Pull(ctx, "x", "y"), c.PutFiles(ctx, "abc", "/work", http.NoBody)} {
			if err != nil && (core.KindOf(err) == core.Internal || len(err.Error()) > 2000) {
				t.Fatalf("%v", err)
			}
		}
		for _, name := range append(append(names, more...), id) {
			if bytes.ContainsAny([]byte(name), "/?#% ") {
				t.Fatalf("a name %q", name)
			}
		}
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond) // a stream has no end of its own
		defer cancel()
		if s, err := c.Attach(ctx, "abc", false); err == nil {
			_ = s.Copy(io.Discard, io.Discard)
			s.Close()
		}
	})
}
