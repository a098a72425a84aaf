package container_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/core"
)

// TestHostileEngine: whatever an engine answers to whatever request, a task ends with a
// failure that is not its own, and nothing waits for ever.
func TestHostileEngine(t *testing.T) {
	flood := func(w http.ResponseWriter) {
		for piece := []byte(strings.Repeat(" ", 1<<20)); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}
	cut := func(w http.ResponseWriter) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			conn.Close()
		}
	}
	text := func(s string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { _, _ = io.WriteString(w, s) }
	}
	status := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(code) }
	}
	stream := func(s string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"+s)
				conn.Close()
			}
		}
	}
	heads := func(w http.ResponseWriter) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			for n := 0; err == nil && n < 1<<20; n++ {
				_, err = fmt.Fprintf(conn, "HTTP/1.1 101 UPGRADED\r\nX: %s\r\n", strings.Repeat("x", 1000))
			}
			conn.Close()
		}
	}
	for name, c := range map[string]struct {
		path   string
		answer func(http.ResponseWriter)
	}{
		"image: flood":          {"GET /images/" + someImage + "/json", flood},
		"image: cut":            {"GET /images/" + someImage + "/json", cut},
		"image: another":        {"GET /images/" + someImage + "/json", text(`{"Id":"sha256:x","Os":"linux","Architecture":"amd64"}`)},
		"image: a list":         {"GET /images/" + someImage + "/json", text(`[]`)},
		"image: many volumes":   {"GET /images/" + someImage + "/json", text(`{"Id":"` + someImage + `","Os":"linux","Architecture":"amd64","Config":{"Volumes":{` + manyVolumes() + `}}}`)},
		"create: no id":         {"POST /containers/create", text(`{}`)},
		"create: a path":        {"POST /containers/create", text(`{"Id":"../../images/prune"}`)},
		"create: warns":         {"POST /containers/create", text(`{"Id":"abc","Warnings":["Your kernel does not support swap limit capabilities"]}`)},
		"create: no JSON":       {"POST /containers/create", text("\x00\x01")},
		"create: refuses":       {"POST /containers/create", status(500)},
		"create: gone":          {"POST /containers/create", status(404)},
		"attach: refuses":       {"POST /containers/*/attach", status(409)},
		"attach: cut":           {"POST /containers/*/attach", cut},
		"attach: heads":         {"POST /containers/*/attach", heads},
		"attach: half a frame":  {"POST /containers/*/attach", stream("\x01\x00\x00")},
		"attach: a short frame": {"POST /containers/*/attach", stream("\x01\x00\x00\x00\x00\x00\x00\x09x")},
		"attach: a big frame":   {"POST /containers/*/attach", stream("\x01\x00\x00\x00\xff\xff\xff\xffx")},
		"attach: another kind":  {"POST /containers/*/attach", stream("\x07\x00\x00\x00\x00\x00\x00\x01x")},
		"attach: no frames":     {"POST /containers/*/attach", stream("what a program wrote")},
		"start: refuses":        {"POST /containers/*/start", status(500)},
		"wait: refuses":         {"POST /containers/*/wait", status(500)},
		"wait: cut":             {"POST /containers/*/wait", cut},
		"state: none":           {"GET /containers/*/json", text(`{}`)},
		"state: runs":           {"GET /containers/*/json", text(`{"State":{"Running":true}}`)},
		"state: a code":         {"GET /containers/*/json", text(`{"State":{"ExitCode":-1}}`)},
		"state: flood":          {"GET /containers/*/json", flood},
		"volume: refuses":       {"POST /volumes/create", status(500)},
		"files: refuse":         {"PUT /containers/*/archive", status(403)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := engine(t)
			var on atomic.Bool
			e.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
				method, path, _ := strings.Cut(c.path, " ")
				before, after, open := strings.Cut(path, "*")
				if !on.Load() || r.Method != method || !strings.HasPrefix(r.URL.Path, before) || !strings.HasSuffix(r.URL.Path, after) || !open && r.URL.Path != path {
					return false
				}
				c.answer(w)
				return true
			}
			x := serve(t, e, nil).ready(t)
			on.Store(true)
			_, err := x.Run(t.Context(), task(`"stdin":"aGVsbG8=","files":{"a":"YQ=="}`), compute.Report{})
			if f := failure(t, err); f.Reason != core.ReasonInternal || len(f.Message) > 1000 {
				t.Errorf("%v", f)
			}
			on.Store(false)
			await(t, func() bool { return len(e.Left()) == 0 })
		})
	}
}

func manyVolumes() string {
	var all []string
	for i := range 17 {
		all = append(all, fmt.Sprintf(`"/v%d":{}`, i))
	}
	return strings.Join(all, ",")
}

// TestHangingEngine: an engine that says nothing costs a task its time and no more.
func TestHangingEngine(t *testing.T) {
	for _, path := range []string{"/containers/create", "/start", "/wait", "/attach"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			e := engine(t)
			e.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, path) {
					<-r.Context().Done()
					return true
				}
				return false
			}
			x := serve(t, e, nil).ready(t)
			_, err := x.Run(t.Context(), task(`"limits":{"timeoutMs":100}`), compute.Report{})
			if f := failure(t, err); f.Reason != core.ReasonDeadline {
				t.Errorf("%v", f)
			}
			if left := e.Left(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestUnstartable: a program that is not in the image is the task's fault, which the
// engine tells by words only.
func TestUnstartable(t *testing.T) {
	for text, want := range map[string]core.Reason{
		`OCI runtime create failed: exec: "x": executable file not found in $PATH: unknown`: core.ReasonInvalidInput,
		`OCI runtime create failed: exec: "/etc": permission denied: unknown`:               core.ReasonInvalidInput,
		`container init was OOM-killed (memory limit too low?)`:                             core.ReasonMemoryLimit,
		`error mounting: something odd`:                                                     core.ReasonInternal,
	} {
		e := engine(t)
		e.StartError = text
		_, err := serve(t, e, nil).ready(t).Run(t.Context(), task(""), compute.Report{})
		if f := failure(t, err); f.Reason != want {
			t.Errorf("%s: %v, want %s", text, f, want)
		}
	}
}
