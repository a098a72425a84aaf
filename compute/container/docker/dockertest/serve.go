package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/tenzro/tenzro/compute/container/docker"
)

// problem is an answer that is an error.
type problem struct {
	status  int
	message string
}

func missing(what string) *problem { return &problem{http.StatusNotFound, "No such " + what} }

func (e *Engine) handler() http.Handler {
	versioned := regexp.MustCompile(`^/v1\.\d+(/.*)$`)
	routes := http.NewServeMux()
	for pattern, do := range map[string]func(r *http.Request) (any, *problem){
		"GET /version":                 func(*http.Request) (any, *problem) { return e.Version, nil },
		"GET /info":                    func(*http.Request) (any, *problem) { return e.Info, nil },
		"GET /images/{ref...}":         e.image,
		"POST /images/create":          e.pull,
		"POST /containers/create":      e.create,
		"POST /containers/{id}/start":  e.start,
		"POST /containers/{id}/wait":   e.wait,
		"GET /containers/{id}/json":    e.inspect,
		"GET /containers/json":         e.list,
		"PUT /containers/{id}/archive": e.archive,
		"DELETE /containers/{id}":      e.remove,
		"POST /volumes/create":         e.makeVolume,
		"GET /volumes":                 e.listVolumes,
		"DELETE /volumes/{name}":       e.removeVolume,
	} {
		routes.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { answer(w, r, do) })
	}
	routes.HandleFunc("POST /containers/{id}/attach", e.attach)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m := versioned.FindStringSubmatch(r.URL.Path); m != nil {
			r.URL.Path = m[1]
		}
		if e.Intercept == nil || !e.Intercept(w, r) {
			routes.ServeHTTP(w, r)
		}
	})
}

func answer(w http.ResponseWriter, r *http.Request, do func(r *http.Request) (any, *problem)) {
	value, bad := do(r)
	w.Header().Set("Content-Type", "application/json")
	if bad != nil {
		w.WriteHeader(bad.status)
		value = map[string]string{"message": bad.message}
	}
	_ = json.NewEncoder(w).Encode(value)
}

func (e *Engine) image(r *http.Request) (any, *problem) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i, ok := e.images[strings.TrimSuffix(r.PathValue("ref"), "/json")]
	if !ok {
		return nil, missing("image")
	}
	return i, nil
}

func (e *Engine) pull(r *http.Request) (any, *problem) {
	ref := r.URL.Query().Get("fromImage") + "@" + r.URL.Query().Get("tag")
	i, ok := e.Pulls[ref]
	if !ok {
		return map[string]string{"error": "manifest for " + ref + " not found"}, nil
	}
	e.Add(i)
	return map[string]string{"status": "Downloaded"}, nil
}

func (e *Engine) create(r *http.Request) (any, *problem) {
	body, err := io.ReadAll(r.Body)
	var s docker.Spec
	if err = errors.Join(err, json.Unmarshal(body, &s)); err != nil {
		return nil, &problem{http.StatusBadRequest, err.Error()}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	image, ok := e.images[s.Image]
	if !ok {
		return nil, missing("image")
	}
	if lacks := lacking(body, image); len(lacks) > 0 {
		e.complaints = append(e.complaints, lacks...)
		return nil, &problem{http.StatusBadRequest, strings.Join(lacks, "; ")}
	}
	e.next++
	b := &box{id: fmt.Sprintf("%064x", e.next), name: r.URL.Query().Get("name"), spec: s, done: make(chan struct{}), stdin: bytes.NewReader(nil)}
	e.containers[b.id] = b
	return map[string]any{"Id": b.id, "Warnings": []string{}}, nil
}

// find returns a container by its id or name.
func (e *Engine) find(r *http.Request) (*box, *problem) {
	e.mu.Lock()
	defer e.mu.Unlock()
	want := r.PathValue("id")
	for _, b := range e.containers {
		if b.id == want || b.name == want {
			return b, nil
		}
	}
	return nil, missing("container: " + want)
}

// attach hands the connection to the container.
func (e *Engine) attach(w http.ResponseWriter, r *http.Request) {
	b, bad := e.find(r)
	if bad != nil {
		answer(w, r, func(*http.Request) (any, *problem) { return nil, bad })
		return
	}
	conn, both, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	e.mu.Lock() // before the answer: the container may be started next
	b.conn = conn
	if r.URL.Query().Get("stdin") == "1" {
		b.stdin = both
	}
	e.mu.Unlock()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
}

func (e *Engine) start(r *http.Request) (any, *problem) {
	b, bad := e.find(r)
	if bad != nil {
		return nil, bad
	}
	if e.StartError != "" {
		return nil, &problem{http.StatusBadRequest, e.StartError}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range b.spec.HostConfig.Mounts {
		if m.Type == docker.MountVolume && !m.ReadOnly {
			e.complaints = append(e.complaints, "a program that can write to a volume, which has no bound")
			return nil, &problem{http.StatusBadRequest, "a writable volume"}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel, b.started, b.state.Running = cancel, true, true
	var writing sync.Mutex
	to := io.Writer(io.Discard)
	if b.conn != nil {
		to = b.conn
	}
	p := Process{Spec: b.spec, Stdin: b.stdin, Stdout: &frames{&writing, to, 1}, Stderr: &frames{&writing, to, 2}}
	for _, m := range b.spec.HostConfig.Mounts {
		if v := e.volumes[m.Source]; v != nil {
			p.Files = v.files
		}
	}
	e.programs.Go(func() {
		exit := e.Program(ctx, p)
		e.mu.Lock()
		defer e.mu.Unlock()
		if ctx.Err() != nil {
			exit.Code = 137
		}
		b.state = docker.State{ExitCode: exit.Code, OOMKilled: exit.OOM}
		if b.conn != nil {
			b.conn.Close()
		}
		close(b.done)
	})
	return struct{}{}, nil
}

// frames writes one of the outputs of a container.
type frames struct {
	mu   *sync.Mutex
	to   io.Writer
	kind byte
}

// Write implements io.Writer.
func (f *frames) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	head := [8]byte{f.kind}
	binary.BigEndian.PutUint32(head[4:], uint32(len(p)))
	if _, err := f.to.Write(append(head[:], p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (e *Engine) wait(r *http.Request) (any, *problem) {
	b, bad := e.find(r)
	if bad != nil {
		return nil, bad
	}
	select {
	case <-b.done:
	case <-r.Context().Done():
	}
	return map[string]int{"StatusCode": b.state.ExitCode}, nil
}

func (e *Engine) inspect(r *http.Request) (any, *problem) {
	b, bad := e.find(r)
	if bad != nil {
		return nil, bad
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return map[string]any{"Id": b.id, "State": b.state}, nil
}

// kill ends what runs in a container and waits for it.
func (e *Engine) kill(b *box) {
	e.mu.Lock()
	started := b.started
	if started {
		b.cancel()
	}
	if b.conn != nil {
		b.conn.Close()
	}
	e.mu.Unlock()
	if started {
		<-b.done
	}
}

func (e *Engine) remove(r *http.Request) (any, *problem) {
	b, bad := e.find(r)
	if bad != nil {
		return nil, bad
	}
	if r.URL.Query().Get("force") != "1" {
		return nil, &problem{http.StatusConflict, "the container may run"}
	}
	e.kill(b)
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.containers, b.id)
	return struct{}{}, nil
}

// labelled returns the label that a list is asked for.
func labelled(q url.Values) string {
	var f struct{ Label []string }
	_ = json.Unmarshal([]byte(q.Get("filters")), &f)
	return strings.Join(f.Label, ",")
}

func has(labels map[string]string, want string) bool {
	name, value, _ := strings.Cut(want, "=")
	return labels[name] == value
}

func (e *Engine) list(r *http.Request) (any, *problem) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := []any{}
	for _, b := range e.containers {
		if has(b.spec.Labels, labelled(r.URL.Query())) && r.URL.Query().Get("all") == "1" {
			all = append(all, map[string]any{"Id": b.id, "Names": []string{"/" + b.name}})
		}
	}
	return all, nil
}

// archive unpacks into the volume below the path; the rest of the container is read-only.
func (e *Engine) archive(r *http.Request) (any, *problem) {
	b, bad := e.find(r)
	if bad != nil {
		return nil, bad
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range b.spec.HostConfig.Mounts {
		if v := e.volumes[m.Source]; v != nil && m.Target == r.URL.Query().Get("path") && !m.ReadOnly {
			return struct{}{}, unpack(r.Body, v.files)
		}
	}
	return nil, &problem{http.StatusForbidden, "container rootfs is marked read-only"}
}

func unpack(r io.Reader, into map[string][]byte) *problem {
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var content []byte
		if err == nil {
			content, err = io.ReadAll(in)
		}
		if err != nil {
			return &problem{http.StatusBadRequest, err.Error()}
		}
		if h.Typeflag == tar.TypeReg {
			into[path.Clean(h.Name)] = content
		}
	}
}

func (e *Engine) makeVolume(r *http.Request) (any, *problem) {
	var v struct {
		Name, Driver string
		Labels       map[string]string
	}
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil || v.Driver != "local" {
		return nil, &problem{http.StatusBadRequest, fmt.Sprint("driver ", v.Driver, err)}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.volumes[v.Name] = &volume{v.Labels, map[string][]byte{}}
	return map[string]string{"Name": v.Name}, nil
}

func (e *Engine) listVolumes(r *http.Request) (any, *problem) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := []any{}
	for name, v := range e.volumes {
		if has(v.labels, labelled(r.URL.Query())) {
			all = append(all, map[string]string{"Name": name})
		}
	}
	return map[string]any{"Volumes": all}, nil
}

func (e *Engine) removeVolume(r *http.Request) (any, *problem) {
	e.mu.Lock()
	defer e.mu.Unlock()
	name := r.PathValue("name")
	if e.volumes[name] == nil {
		return nil, missing("volume")
	}
	for _, b := range e.containers {
		for _, m := range b.spec.HostConfig.Mounts {
			if m.Source == name {
				return nil, &problem{http.StatusConflict, "volume is in use"}
			}
		}
	}
	delete(e.volumes, name)
	return struct{}{}, nil
}
