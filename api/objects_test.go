package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/storage"
	"github.com/tenzro/tenzro/storage/storagetest"
)

// objects is a store that fails with the network; a task that says "object" is
// resolved to "done".
type objects struct {
	*network
	store *storagetest.Memory
}

var _ api.Objects = objects{}

func (o objects) Put(ctx context.Context, r io.Reader) (storage.Info, bool, error) {
	o.started()
	if o.err != nil {
		return storage.Info{}, false, o.err
	}
	return o.store.Put(ctx, r)
}

func (o objects) Get(ctx context.Context, id core.ObjectID) (storage.Info, []byte, error) {
	if o.err != nil {
		return storage.Info{}, nil, o.err
	}
	return o.store.Get(ctx, id)
}

func (o objects) Delete(ctx context.Context, id core.ObjectID) error {
	o.started()
	if o.err != nil {
		return o.err
	}
	return o.store.Delete(ctx, id)
}

func (o objects) List(ctx context.Context, after string, limit int) (storage.Page, error) {
	if o.err != nil {
		return storage.Page{}, o.err
	}
	return o.store.List(ctx, after, limit)
}

func (o objects) Resolve(_ context.Context, spec core.TaskSpec) (core.TaskSpec, error) {
	spec.Data = json.RawMessage(strings.ReplaceAll(string(spec.Data), "object", "done"))
	return spec, o.err
}

const base = "/api/v1/objects"

// TestObjects: bytes are put, found again whole or in part, listed and removed.
func TestObjects(t *testing.T) {
	s := newServer(t, newNetwork(), nil)
	const text = "hello, objects"
	id := core.ObjectOf([]byte(text)).String()
	for _, status := range []int{201, 200} {
		w := send(s, "POST", base, text, "Content-Type: text/csv")
		var info storage.Info
		if err := json.Unmarshal(w.Body.Bytes(), &info); err != nil || w.Code != status || info.ID.String() != id || info.Size != int64(len(text)) || info.Expires.IsZero() {
			t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
		}
		if at := w.Header().Get("Location"); at != base+"/"+id {
			t.Errorf("Location %q", at)
		}
	}
	for _, c := range []struct {
		method, header string
		status         int
		body           string
	}{
		{"GET", "", 200, text},
		{"HEAD", "", 200, ""},
		{"GET", "Range: bytes=7-", 206, "objects"},
		{"GET", "Range: bytes=0-4", 206, "hello"},
		{"GET", "Range: bytes=0-999", 206, text},
		{"GET", "Range: bytes=-7", 206, "objects"},
		{"GET", "Range: bytes=5-4", 200, text},
		{"GET", "Range: bytes=0-1,3-4", 200, text},
		{"GET", "Range: lines=1-2", 200, text},
		{"GET", "If-Match: \"other\"", 200, text},
		{"GET", `If-None-Match: "` + id + `"`, 304, ""},
	} {
		w := send(s, c.method, base+"/"+id, "", c.header)
		if w.Code != c.status || w.Body.String() != c.body {
			t.Errorf("%s %q: %d %q, want %d %q", c.method, c.header, w.Code, w.Body, c.status, c.body)
		}
		if got := w.Header().Get("Content-Type"); c.status < 300 && (got != "application/octet-stream" || w.Header().Get("X-Content-Type-Options") != "nosniff") {
			t.Errorf("%s %q: content type %q", c.method, c.header, got)
		}
	}
	if w := send(s, "GET", base+"/"+id, "", "Range: bytes=14-"); w.Code != 416 || w.Header().Get("Content-Range") != "bytes */14" || problem(t, w).Code != "range" {
		t.Errorf("behind the end: %d %s", w.Code, w.Body)
	}
	if w := send(s, "DELETE", base+"/"+id, ""); w.Code != 204 || w.Body.Len() > 0 {
		t.Errorf("DELETE: %d %s", w.Code, w.Body)
	}
	for _, method := range []string{"GET", "DELETE"} {
		if w := send(s, method, base+"/"+id, ""); w.Code != 404 || problem(t, w).Code != "object_not_found" || problem(t, w).Hint == "" {
			t.Errorf("%s of what is gone: %d %s", method, w.Code, w.Body)
		}
	}
}

// TestObjectPages: lists have pages, and an empty one is [].
func TestObjectPages(t *testing.T) {
	s := newServer(t, newNetwork(), nil)
	if w := send(s, "GET", base, ""); strings.TrimSpace(w.Body.String()) != `{"objects":[]}` {
		t.Errorf("an empty list is %s", w.Body)
	}
	for i := range 5 {
		send(s, "POST", base, fmt.Sprint("object ", i))
	}
	n := 0
	for query := "?limit=2"; query != ""; {
		var page storage.Page
		w := send(s, "GET", base+query, "")
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Objects) > 2 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		n += len(page.Objects)
		if query = ""; page.Next != "" {
			query = "?limit=2&after=" + page.Next
		}
	}
	if n != 5 {
		t.Errorf("the pages have %d objects, want 5", n)
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?limit=x", "?after=x", "?page=2"} {
		if w := send(s, "GET", base+query, ""); w.Code != 400 {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
}

// TestHostileObjects: an id is one or it is refused, whatever it looks like, and an
// object is as large as it may be.
func TestHostileObjects(t *testing.T) {
	n := newNetwork()
	s := newServer(t, n, nil)
	for _, id := range []string{"..%2F..%2Fnode.key", strings.Repeat("A", 64), strings.Repeat("a", 63), strings.Repeat("a", 65), "%00", strings.Repeat("%2e", 64)} {
		if w := send(s, "GET", base+"/"+id, ""); w.Code != 400 || problem(t, w).Field != "object" {
			t.Errorf("%s: %d %s", id, w.Code, w.Body)
		}
	}
	large := strings.Repeat("x", storage.MaxObjectBytes+1)
	if w := send(s, "POST", base, large); w.Code != 413 || n.calls != 0 {
		t.Errorf("announced: %d, %d calls", w.Code, n.calls)
	}
	r := hostileRequest("POST", base, "Content-Type: image/png", large)
	r.ContentLength = -1
	if w := ask(s, r); w.Code != 413 {
		t.Errorf("not announced: %d %s", w.Code, w.Body)
	}
	if w := send(s, "POST", base, large[1:]); w.Code != 201 {
		t.Errorf("the largest: %d %s", w.Code, w.Body)
	}
	n.err = core.Errorf(core.Full, "object", "the disk is full").WithHint("make room")
	if w := send(s, "POST", base, "x"); w.Code != http.StatusInsufficientStorage || problem(t, w).Hint != "make room" {
		t.Errorf("a full disk: %d %s", w.Code, w.Body)
	}
}

// TestResolved: every door for tasks puts objects in place before anybody sees the
// task; keys by content are of what came of it.
func TestResolved(t *testing.T) {
	n := newNetwork()
	s := newServer(t, n, nil)
	body := `{"type":"compute","data":{"input":{"object":"x"}}}`
	for _, path := range []string{"/tasks", "/api/v1/tasks", "/api/v1/tasks?reuse=true"} {
		if w := send(s, "POST", path, body); w.Code != 202 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	send(s, "POST", "/api/v1/tasks?reuse=true", strings.ReplaceAll(body, "object", "done"))
	if w := send(s, "POST", "/api/v1/workflows", `{"steps":[{"id":"a","map":{"over":{"object":"x"}}}]}`); w.Code != 202 {
		t.Fatalf("a workflow: %d %s", w.Code, w.Body)
	}
	for i, spec := range n.specs {
		if strings.Contains(string(spec.Data), "object") {
			t.Errorf("submission %d still names an object: %s", i, spec.Data)
		}
	}
	if n.keys[2] != n.keys[3] || n.keys[2] == "" {
		t.Errorf("the same content has the keys %q and %q", n.keys[2], n.keys[3])
	}
}

// TestNotResolved: why a task cannot have its objects is told with a status and a
// code of its own, and the task goes nowhere.
func TestNotResolved(t *testing.T) {
	const body = `{"type":"compute","data":{"input":{"object":"x"}}}`
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"nowhere":   {storage.NotFound(core.ObjectOf(nil)), 422, "object_not_found"},
		"too large": {core.Errorf(core.Exhausted, "data", "too much"), 413, "too_large"},
		"wrong":     {core.Errorf(core.Invalid, "data.module", "no id"), 400, "invalid"},
		"damaged":   {core.Errorf(core.Corrupt, "object", "damaged"), 502, "corrupt"},
	} {
		n := newNetwork()
		s := newServer(t, n, nil)
		n.err = c.err
		named := strings.Replace(body, "{", `{"taskId":"a",`, 1)
		for path, sent := range map[string]string{"/api/v1/tasks": body, "/tasks": body, "/regional/tasks": named, "/local/tasks": named} {
			if w := send(s, "POST", path, sent); w.Code != c.status || problem(t, w).Code != c.code {
				t.Errorf("%s, %s: %d %s", name, path, w.Code, w.Body)
			}
		}
		if n.calls != 0 {
			t.Errorf("%s: %d calls were made", name, n.calls)
		}
	}
}
