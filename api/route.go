package api

import (
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenzro/tenzro/core"
)

// handler answers one exchange, or returns the error to answer with.
type handler func(x *exchange) error

// Where a param is.
const (
	inQuery  = "query"
	inPath   = "path"
	inHeader = "header"
)

type param struct{ in, name, doc string }

// route is one row of the API: what the router serves and what the OpenAPI
// document says about it.
type route struct {
	method, path string
	summary      string
	tag          string
	params       []param       // the path's own are added by the document
	in           []any         // bodies it takes, one value of each type; none = no body
	takes        string        // content type of the bodies; empty = JSON
	out          map[int][]any // success statuses and the types their body may have
	media        []string      // content types of the success answers; none = JSON
	bigBody      bool          // the body may carry task data
	open         bool          // served without a token
	stream       bool          // stays open: not in the duration histogram
	serve        handler

	requests [6]prometheus.Counter // by status class
	seconds  prometheus.Observer
}

func (r *route) pattern() string { return r.method + " " + r.path }

// routes returns the whole API.
func (s *Server) routes() []*route {
	var all []*route
	for _, group := range [][]*route{s.documentedRoutes(), s.taskRoutes(), s.insightRoutes(), s.workflowRoutes(), s.objectRoutes(), s.nodeRoutes(), s.regionRoutes(), s.watchRoutes(), s.probeRoutes()} {
		all = append(all, group...)
	}
	return all
}

// newMux registers the routes. Nothing is registered at "/": a catch-all would
// turn every 405 into a 404.
func (s *Server) newMux(routes []*route) *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.pattern(), func(w http.ResponseWriter, req *http.Request) {
			x := w.(*exchange) // ServeHTTP passes nothing else
			x.r, x.route = req, r
			if err := s.serve(x); err != nil {
				s.fail(x, err)
			}
		})
	}
	return mux
}

func (s *Server) serve(x *exchange) error {
	if err := s.admit(x); err != nil {
		return err
	}
	var err error
	if x.query, err = x.parseQuery(); err != nil {
		return err
	}
	return x.route.serve(x)
}

// ServeHTTP is the outermost layer: it names the request, answers for a handler
// that panicked, and counts.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, r: r, id: requestID(r)}
	begun := time.Now()
	x.Header().Set("X-Request-Id", x.id)
	x.Header().Set("X-Content-Type-Options", "nosniff")
	s.metrics.inFlight.Inc()
	defer s.finish(x, begun)
	if err := s.screen(x); err != nil {
		s.fail(x, err)
		return
	}
	if _, pattern := s.mux.Handler(r); pattern == "" || !cleanPath(r) {
		s.unmatched(x)
		return
	}
	s.mux.ServeHTTP(x, r)
}

// cleanPath refuses what the router would answer with a redirect.
func cleanPath(r *http.Request) bool {
	p := r.URL.EscapedPath()
	return strings.HasPrefix(p, "/") && path.Clean(p) == p
}

// finish runs last, also when a handler panicked.
func (s *Server) finish(x *exchange, begun time.Time) {
	if v := recover(); v != nil {
		s.log.Error().Str("request_id", x.id).Interface("panic", v).Bytes("stack", debug.Stack()).Msg("a handler panicked")
		x.end(problemOf(core.Errorf(core.Internal, "handler", "panic")))
	}
	s.releaseMemory(x)
	s.metrics.inFlight.Dec()
	took := time.Since(begun)
	s.metrics.count(x, took)
	if e := s.log.Debug(); e.Enabled() {
		e.Str("request_id", x.id).Str("method", x.r.Method).Str("path", x.r.URL.Path).
			Str("remote", x.r.RemoteAddr).Int("status", x.status).Dur("took", took).Msg("request")
	}
}

// fail answers with err; what the client may not know goes to the log.
func (s *Server) fail(x *exchange, err error) {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		s.log.Error().Err(err).Str("request_id", x.id).Str("method", x.r.Method).Str("path", x.r.URL.Path).Msg("request failed")
	}
	x.end(p)
}

// unmatched answers 404 or 405 as the router would, as a problem.
func (s *Server) unmatched(x *exchange) {
	probe := &headerProbe{header: http.Header{}}
	if cleanPath(x.r) {
		h, _ := s.mux.Handler(x.r)
		h.ServeHTTP(probe, x.r)
	}
	if probe.status == http.StatusMethodNotAllowed {
		allow := probe.header.Get("Allow")
		x.Header().Set("Allow", allow)
		x.problem(refuse(probe.status, "method_not_allowed", "this path does not take "+quoted(x.r.Method), "use "+allow))
		return
	}
	x.problem(refuse(http.StatusNotFound, core.NotFound.String(), "no endpoint has this path", "see /openapi.json for all paths"))
}

// quoted shows at most 20 bytes of a remote text.
func quoted(s string) string { return `"` + strings.ToValidUTF8(s[:min(len(s), 20)], "") + `"` }

// headerProbe keeps what the router's own error handler would have answered.
type headerProbe struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (p *headerProbe) Header() http.Header { return p.header }

// WriteHeader implements http.ResponseWriter.
func (p *headerProbe) WriteHeader(code int) { p.status = code }

// Write implements http.ResponseWriter.
func (p *headerProbe) Write(b []byte) (int, error) { return len(b), nil }
