package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/compute/wasm/wasmtest"
)

// TestLostSight: who has handed in a program and cannot follow it, because the node
// answers no more or answers nonsense, learns which task it is.
func TestLostSight(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc // to who asks for the result
		code   int
	}{
		"the node dies": {func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, ExitUnreachable},
		"denied":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, ExitDenied},
		"nonsense":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[]")) }, ExitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			target, err := url.Parse(newFakeNode().serve(t, api.Config{}))
			if err != nil {
				t.Fatal(err)
			}
			proxy := httputil.NewSingleHostReverseProxy(target)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/result") {
					c.answer(w, r)
					return
				}
				proxy.ServeHTTP(w, r)
			}))
			t.Cleanup(front.Close)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "p.wasm"), wasmtest.Module(t, `(module (func (export "_start")))`), 0o600); err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			s := &shell{Process{Dir: dir, Out: &out, Err: &errs, Environ: []string{"HOME=" + dir},
				Args: []string{programName, "wasm", "run", "--api", front.URL, "p.wasm"}}}
			err = s.run(t.Context())
			if exitCode(err) != c.code || !strings.Contains(err.Error(), "task task-1 was submitted") || !strings.HasSuffix(hintOf(err), "tenzro task result --wait task-1") {
				t.Errorf("exit code %d, error %v, fix %s", exitCode(err), err, hintOf(err))
			}
		})
	}
}

// TestLargeModuleIsSentOnce: a large module is uploaded with the first run and named
// in every one; a node that takes no objects gets it in the task, as does one that is
// given a small module.
func TestLargeModuleIsSentOnce(t *testing.T) {
	large := append(wasmtest.Module(t, `(module (func (export "_start")))`), append([]byte("\x00\x81\x80\x10\x00"), make([]byte, 256<<10)...)...)
	for name, c := range map[string]struct {
		module  []byte
		objects int // status of the node for uploads; 0: it takes them
		uploads int // in two runs
		named   bool
	}{
		"large":                     {large, 0, 1, true},
		"large, the node is full":   {large, http.StatusInsufficientStorage, 2, false},
		"large, the node is older":  {large, http.StatusNotFound, 2, false},
		"small is sent in the task": {wasmtest.Module(t, `(module (func (export "_start")))`), 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			target, err := url.Parse(newFakeNode().serve(t, api.Config{}))
			if err != nil {
				t.Fatal(err)
			}
			proxy := httputil.NewSingleHostReverseProxy(target)
			uploads, named := 0, 0
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				switch {
				case r.Method == http.MethodPost && r.URL.Path == "/api/v1/objects":
					if uploads++; c.objects != 0 {
						w.WriteHeader(c.objects)
						return
					}
				case r.Method == http.MethodPost && r.URL.Path == "/api/v1/tasks" && bytes.Contains(body, []byte(`{"object":"`)):
					named++
				}
				proxy.ServeHTTP(w, r)
			}))
			t.Cleanup(front.Close)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "p.wasm"), c.module, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				s := &shell{Process{Dir: dir, Out: io.Discard, Err: io.Discard, Environ: []string{"HOME=" + dir},
					Args: []string{programName, "wasm", "run", "--api", front.URL, "p.wasm"}}}
				_ = s.run(t.Context()) // the fake node's result is no program's
			}
			if uploads != c.uploads || named != map[bool]int{true: 2}[c.named] {
				t.Errorf("%d uploads, want %d; %d tasks named the module", uploads, c.uploads, named)
			}
		})
	}
}
