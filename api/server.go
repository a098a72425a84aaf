package api

import (
	"context"
	"errors"
	stdlog "log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
)

// What a connection may take. Long polls and streams move their own deadlines.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 64 << 10
	metricsConns      = 64 // connections of the metrics listener
)

// Server serves the API and, when asked to, the metrics listener.
type Server struct {
	cfg      Config
	deps     Deps
	log      zerolog.Logger
	guard    *guard
	tokens   *Tokens // nil when no token is needed
	metrics  *metrics
	mux      *http.ServeMux
	document func() ([]byte, error) // built when first asked for
	hub      *hub

	bodies atomic.Int64 // bytes of large bodies held right now
	// resolving has a place for each task whose objects are put in place: it may take
	// the memory of the largest task and gives back what it did not need.
	resolving chan struct{}
	sse, ws   slots
	sockets   sync.WaitGroup // open WebSockets: the http package does not wait for them
	quit      func()         // called when Serve begins to drain
	// draining ends when quit is called; it is a context so that what waits can
	// hang on it without a goroutine.
	draining context.Context

	listener, metricsListener net.Listener // set by Listen
}

var _ http.Handler = (*Server)(nil)

// New checks the configuration and builds the server; nothing is bound or
// started, and no file but the token file is read.
func New(cfg Config, deps Deps, log zerolog.Logger) (*Server, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	if err := deps.validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, deps: deps, log: log, hub: newHub(), resolving: make(chan struct{}, maxResolving)}
	s.draining, s.quit = context.WithCancel(context.Background())
	s.sse.most, s.ws.most = int64(cfg.Limits.Streams), int64(cfg.Limits.Sockets)
	if s.guard, err = newGuard(cfg); err != nil {
		return nil, err
	}
	if cfg.Auth == AuthToken {
		if s.tokens, err = OpenTokens(cfg.TokensFile); err != nil {
			return nil, err
		}
	}
	if s.metrics, err = newMetrics(deps.Registerer); err != nil {
		return nil, core.Errorf(core.Internal, "api.New", "registering the api's metrics: %w", err)
	}
	s.build()
	return s, nil
}

// build makes router and document from the one table.
func (s *Server) build() {
	routes := s.routes()
	for _, r := range routes {
		s.metrics.resolve(r, r.pattern())
	}
	s.mux = s.newMux(routes)
	s.document = sync.OnceValues(func() ([]byte, error) { return document(routes, s.deps.Node.Status().Version) })
}

// Handler returns the whole API without a listener, for tests and benchmarks.
func (s *Server) Handler() http.Handler { return s }

// Listen binds the API's and the metrics' address, so that a busy port is known
// before anything else starts.
func (s *Server) Listen() error {
	l, err := listen(s.cfg.Addr, "api.addr", s.cfg.Limits.Connections)
	if err != nil {
		return err
	}
	if s.cfg.MetricsAddr != "" {
		m, err := listen(s.cfg.MetricsAddr, "metrics.addr", metricsConns)
		if err != nil {
			_ = l.Close() // the caller learns of the first failure
			return err
		}
		s.metricsListener = m
	}
	s.listener = l
	return nil
}

// Addrs returns the bound host:port pairs after Listen; metrics is empty when
// that listener is off.
func (s *Server) Addrs() (http, metrics string) {
	if s.listener != nil {
		http = s.listener.Addr().String()
	}
	if s.metricsListener != nil {
		metrics = s.metricsListener.Addr().String()
	}
	return http, metrics
}

// Serve answers requests until ctx ends; then streams are told, requests may
// finish within Limits.Drain and what is left is cut. It can run once, after
// Listen.
func (s *Server) Serve(ctx context.Context) error {
	if s.listener == nil {
		return core.Errorf(core.Internal, "api.Serve", "Serve needs Listen first")
	}
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	servers := map[*http.Server]net.Listener{s.newHTTP(base, s): s.listener}
	if s.metricsListener != nil {
		servers[s.newHTTP(base, s.metricsMux())] = s.metricsListener
	}
	ended := make(chan error, len(servers))
	for server, l := range servers {
		go func() { ended <- server.Serve(l) }()
	}
	var err error
	running := len(servers)
	select {
	case <-ctx.Done():
	case err = <-ended:
		running--
	}
	s.drain(servers, cut)
	for range running {
		<-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// drain ends the streams, lets requests finish and then cuts what is left.
func (s *Server) drain(servers map[*http.Server]net.Listener, cut func()) {
	s.quit()
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Limits.Drain)
	defer cancel()
	var wg sync.WaitGroup
	for server := range servers {
		wg.Go(func() {
			if server.Shutdown(ctx) != nil {
				_ = server.Close() // the patience is over: nothing more can be done
			}
		})
	}
	wg.Wait() // from here on nobody opens another WebSocket
	gone := make(chan struct{})
	go func() { s.sockets.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-ctx.Done():
	}
	cut()
	<-gone
}

func (s *Server) newHTTP(base context.Context, h http.Handler) *http.Server {
	return &http.Server{
		Handler:                      h,
		ReadHeaderTimeout:            readHeaderTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return base },
		ErrorLog:                     stdlog.New(debugLog{s.log}, "", 0),
	}
}

// metricsMux is what the second listener serves: numbers and liveness, for
// machines that cannot send a token.
func (s *Server) metricsMux() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metricsHandler())
	return mux
}

// debugLog takes the http package's lines about broken connections: they are
// the clients' doing and would let them fill the log.
type debugLog struct{ log zerolog.Logger }

// Write implements io.Writer.
func (l debugLog) Write(p []byte) (int, error) {
	l.log.Debug().Bytes("detail", p).Msg("connection trouble")
	return len(p), nil
}
