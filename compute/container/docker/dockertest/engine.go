package dockertest

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/tenzro/tenzro/compute/container/docker"
)

// Process is what a program of the fake gets. Its context ends when the container is
// killed.
type Process struct {
	Spec           docker.Spec
	Stdin          io.Reader // empty without one
	Stdout, Stderr io.Writer
	Files          map[string][]byte // below the mounted volume
}

// Exit is how a program ends.
type Exit struct {
	Code int
	OOM  bool // killed for its memory
}

// Program runs in a container of the fake.
type Program func(ctx context.Context, p Process) Exit

// Engine is the fake. Its exported fields are set before the first request.
type Engine struct {
	Socket  string
	Version docker.Version
	Info    docker.Info
	Program Program
	// StartError is what starting a container fails with, "" for nothing; status 400.
	StartError string
	// Pulls are the images that a registry has, by "name@digest".
	Pulls map[string]docker.Image
	// Intercept sees each request first, without the version in its path, and returns
	// whether it has answered.
	Intercept func(w http.ResponseWriter, r *http.Request) bool

	server   *http.Server
	programs sync.WaitGroup

	mu         sync.Mutex
	images     map[string]docker.Image // by what they are asked for
	containers map[string]*box
	volumes    map[string]*volume
	next       int
	complaints []string
}

// box is a container.
type box struct {
	id, name string
	spec     docker.Spec
	conn     net.Conn // attached
	stdin    io.Reader
	cancel   context.CancelFunc
	state    docker.State
	done     chan struct{} // closed when it has ended
	started  bool
}

type volume struct {
	labels map[string]string
	files  map[string][]byte
}

// New starts an engine that ends with the test. It has no images.
func New(t testing.TB) *Engine {
	t.Helper()
	e := &Engine{Socket: filepath.Join(t.TempDir(), "s"), images: map[string]docker.Image{}, containers: map[string]*box{}, volumes: map[string]*volume{},
		Version: docker.Version{Version: "20.10.24", APIVersion: "1.41", MinAPIVersion: "1.12", Arch: "amd64"},
		Info: docker.Info{OSType: "linux", CPUs: 4, Memory: 8 << 30, MemoryLimit: true, SwapLimit: true, PidsLimit: true,
			CPUQuota: true, SecurityOptions: []string{"name=seccomp,profile=default"}},
		Program: func(context.Context, Process) Exit { return Exit{} }}
	l, err := net.Listen("unix", e.Socket)
	if err != nil {
		t.Fatal(err)
	}
	e.server = &http.Server{Handler: e.handler()}
	served := make(chan struct{})
	go func() { defer close(served); _ = e.server.Serve(l) }()
	t.Cleanup(func() {
		_ = e.server.Close()
		<-served
		for _, b := range e.all() {
			e.kill(b)
		}
		e.programs.Wait()
	})
	return e
}

// Add gives the engine an image: by its id, and by the repository digests it has.
func (e *Engine) Add(i docker.Image) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.images[i.ID] = i
	for _, digest := range i.RepoDigests {
		e.images[digest] = i
	}
}

// Drop takes everything from the engine that ref names.
func (e *Engine) Drop(ref string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.images, ref)
}

// Swap makes ref name another image.
func (e *Engine) Swap(ref string, i docker.Image) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.images[ref] = i
}

// Left returns the names of the containers and volumes that are there.
func (e *Engine) Left() (names []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, b := range e.containers {
		names = append(names, b.name)
	}
	return slices.Sorted(slices.Values(slices.AppendSeq(names, maps.Keys(e.volumes))))
}

// Complaints returns what containers lacked that were refused.
func (e *Engine) Complaints() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.complaints)
}

func (e *Engine) all() []*box {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Values(e.containers))
}
