package api_test

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// contractOf checks an answer against the OpenAPI document: the route has to
// declare its status and content type, and an error has to be a whole problem.
func contractOf(t *testing.T, d openAPI, r *http.Request, route string, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code >= 400 {
		problem(t, w)
	}
	if route == "" { // no route took it
		if w.Code < 400 || w.Code >= 500 {
			t.Errorf("%s %s: status %d from no route", r.Method, r.URL, w.Code)
		}
		return
	}
	method, path, _ := strings.Cut(route, " ")
	declared, ok := d.Paths[path][strings.ToLower(method)].Responses[strconv.Itoa(w.Code)]
	if !ok {
		t.Errorf("%s answers %d, which is not declared", route, w.Code)
		return
	}
	if w.Code == http.StatusNoContent || w.Code == http.StatusNotModified {
		if w.Body.Len() > 0 {
			t.Errorf("%s answers %d with a body", route, w.Code)
		}
		return
	}
	media, _, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if _, ok := d.resolve(declared).Content[media]; !ok || err != nil {
		t.Errorf("%s answers %d with content type %q, which is not declared", route, w.Code, media)
	}
	if media == "application/json" && !json.Valid(w.Body.Bytes()) {
		t.Errorf("%s answers with broken JSON: %s", route, w.Body)
	}
}

// routeOf finds the row of the document that a request belongs to.
func routeOf(d openAPI, r *http.Request) string {
	mux := http.NewServeMux()
	for path, methods := range d.Paths {
		for method := range methods {
			mux.HandleFunc(strings.ToUpper(method)+" "+path, http.NotFound)
		}
	}
	_, pattern := mux.Handler(r)
	return pattern
}

// hostileRequest builds a request as a client could send it; nil when net/http
// would not have let it through.
func hostileRequest(method, target, header, body string) *http.Request {
	u, err := url.ParseRequestURI(target)
	if err != nil || !strings.HasPrefix(target, "/") || strings.ContainsAny(target, " \r\n\t") || len(target) > 8192 {
		return nil
	}
	r, err := http.NewRequest(method, "http://localhost/", io.NopCloser(strings.NewReader(body)))
	if err != nil || method == "" || method == http.MethodConnect {
		return nil
	}
	r.URL, r.Host, r.RemoteAddr, r.RequestURI = u, "localhost", "127.0.0.1:9", target
	r.ContentLength = int64(len(body))
	for line := range strings.SplitSeq(header, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			r.Header.Add(name, value)
		}
	}
	return r
}

// ask plays r to its end; a stream is ended at once.
func ask(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(ctx))
	return w
}

// FuzzRequests: whatever a client sends, the answer is one the OpenAPI document
// declares and never a 5xx, because this network never fails.
//
// spec 0.23 2.66
func FuzzRequests(f *testing.F) {
	for _, seed := range [][4]string{
		{"POST", "/tasks", "Content-Type: application/json", sample},
		{"POST", "/tasks", "Content-Type: application/json\nIdempotency-Key: \x7f", sample},
		{"POST", "/api/tasks", "Host: evil", strings.Repeat("[", 1000)},
		{"POST", "/regional/tasks", "", `{"taskId":"a","type":"compute","data":{"a":1,"a":2}}`},
		{"POST", "/local/tasks", "", `{"taskId":"../a","type":"compute","data":{}}`},
		{"POST", "/results", "", `{"taskId":"a","nodeId":"b","result":1e999}`},
		{"POST", "/aggregate", "", `{"targetTier":"trainer","timeout":9223372036854775808}`},
		{"GET", "/tasks/%00", "", ""},
		{"GET", "/tasks/a%2F..%2Fb/result?wait=1h", "", ""},
		{"GET", "/tasks/abc/result?wait=0s&wait=0s", "", ""},
		{"GET", "/api/v1/tasks?limit=-1&status=%ff", "", ""},
		{"GET", "/api/v1/tasks?limit=1;status=x", "", ""},
		{"GET", "/api/v1/events?names=%2C", "Last-Event-ID: -1", ""},
		{"GET", "/api/v1/events?names=task_failed", "Accept: application/json", ""},
		{"GET", "/metrics", "Accept: application/openmetrics-text;version=1.0.0\nAccept-Encoding: gzip", ""},
		{"GET", "/ws", "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13", ""},
		{"PUT", "/api/v1/roles", "Content-Type: text/plain", `{"roles":["local"]}`},
		{"PUT", "/api/v1/roles", "Origin: null", `{"roles":[""]}`},
		{"HEAD", "/api/v1/node?x=%zz", "X-Request-Id: ../..", ""},
		{"BREW", "/global/network/state", "", ""},
		{"GET", "/%2e%2e/livez", "", ""},
		{"GET", "//localhost/livez", "Sec-Fetch-Site: cross-site", ""},
		{"POST", "/api/v1/tasks/abc/cancel", "", "anything"},
		{"POST", "/api/v1/objects", "Content-Type: image/png", "\x89PNG"},
		{"GET", "/api/v1/objects/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "Range: bytes=-1,5-", ""},
		{"GET", "/api/v1/objects?after=-1-00&limit=1", "", ""},
		{"POST", "/api/v1/tasks?wait=60s", "Idempotency-Key: k", "\xff\xfe"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	d := readOpenAPI(f)
	s := newServer(f, newNetwork(), nil)
	f.Fuzz(func(t *testing.T, method, target, header, body string) {
		r := hostileRequest(method, target, header, body)
		if r == nil {
			return
		}
		w := ask(s, r)
		handshake := strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && w.Code == http.StatusNotImplemented // a recorder is no connection
		if w.Code >= 500 && !handshake {
			t.Fatalf("%s %s %q %q: status %d: %s", method, target, header, body, w.Code, w.Body)
		}
		route := routeOf(d, r)
		if !handshake && !(method == http.MethodHead && w.Code < 400) {
			contractOf(t, d, r, route, w)
		}
	})
}

// TestEveryRouteKeepsItsContract: each route of the document is sent good and
// bad requests, with a network that works and one that fails in every way.
//
// spec 2.66
func TestEveryRouteKeepsItsContract(t *testing.T) {
	d := readOpenAPI(t)
	bodies := []string{"", "{}", "null", sample, golden(t, "regional_submit.request.json"), golden(t, "regional_result.request.json"),
		golden(t, "local_aggregate.request.json"), `{"roles":["local"]}`, strings.Repeat("x", 70<<10)}
	for k := core.Internal; k <= core.Unsupported+1; k++ {
		n := newNetwork()
		if k <= core.Unsupported {
			n.err, n.ready = core.Errorf(k, "x", "failing"), core.Errorf(k, "x", "failing")
		}
		s := newServer(t, n, nil)
		for path, methods := range d.Paths {
			for method := range methods {
				for _, body := range bodies {
					for _, ct := range []string{"Content-Type: application/json", "Content-Type: text/plain"} {
						target := strings.NewReplacer("{taskId}", "abc123", "{objectId}", strings.Repeat("0a", 32)).Replace(path)
						r := hostileRequest(strings.ToUpper(method), target, ct, body)
						contractOf(t, d, r, strings.ToUpper(method)+" "+path, ask(s, r))
						if method == "get" {
							break
						}
					}
				}
			}
		}
	}
}
