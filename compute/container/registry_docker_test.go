//go:build docker

package container_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/compute/container"
	"github.com/tenzro/tenzro/core"
)

// registry serves one image with the guest in it, as an engine wants it of a registry,
// and returns its name with the digest.
func registry(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "guest")
	cmd := exec.Command("go", "build", "-o", file, "./testdata/guest")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blobs := map[string][]byte{}
	put := func(b []byte) string {
		digest := "sha256:" + core.Sum(b).String()
		blobs[digest] = b
		return digest
	}
	var layer, zipped bytes.Buffer
	w := tar.NewWriter(&layer)
	_ = w.WriteHeader(&tar.Header{Name: "guest", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))})
	_, _ = w.Write(program)
	_ = w.Close()
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(layer.Bytes())
	_ = z.Close()
	config := fmt.Appendf(nil, `{"architecture":%q,"os":"linux","config":{"Entrypoint":["/guest"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}`, runtime.GOARCH, core.Sum(layer.Bytes()))
	const v2 = "application/vnd.docker.distribution.manifest.v2+json"
	manifest := put(fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":%d,"digest":%q},`+
		`"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":%d,"digest":%q}]}`, v2, len(config), put(config), zipped.Len(), put(zipped.Bytes())))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		part := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		blob, has := blobs[part]
		switch {
		case r.URL.Path == "/v2/":
		case !has:
			w.WriteHeader(http.StatusNotFound)
		default:
			if part == manifest {
				w.Header().Set("Content-Type", v2)
			}
			w.Header().Set("Docker-Content-Digest", part)
			w.Header().Set("Content-Length", fmt.Sprint(len(blob)))
			_, _ = w.Write(blob)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/tools/guest@" + manifest
}

// TestRealPull: an allowed image is pulled from its registry, announced by its digest and
// run by whatever name a task gives it; one that the registry does not have is not.
func TestRealPull(t *testing.T) {
	ref := registry(t)
	digest := ref[strings.IndexByte(ref, '@')+1:]
	images, err := container.ParseImages([]string{ref, ref[:len(ref)-64] + strings.Repeat("0", 64)})
	if err != nil {
		t.Fatal(err)
	}
	changed := make(chan struct{}, 10)
	x, err := container.New(container.Config{On: true, Socket: socket(), Images: images, Pull: true, Node: "test-pull", MemoryMB: 1024,
		Changed: func() { changed <- struct{}{} }}, nil, zerolog.New(zerolog.NewTestWriter(t)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() { defer close(served); _ = x.Serve(ctx) }()
	defer func() { stop(); <-served }()
	<-changed
	if got := x.Runtimes(); len(got) != 2 || got[1] != images[0].Runtime() {
		t.Fatalf("announces %v", got)
	}
	r, err := run(t, x, t.Context(), `{"image":"another/name@`+digest+`","args":["cat"],"input":"hello"}`)
	if err != nil || string(r.Stdout) != `"hello"` {
		t.Errorf("%q, %v", r.Stdout, err)
	}
}
