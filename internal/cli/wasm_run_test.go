package cli

import (
	"bytes"
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
