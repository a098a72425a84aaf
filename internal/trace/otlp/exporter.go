package otlp

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/trace"
)

const (
	// maxQueue is how many spans may wait, of about 300 bytes each: a second of a busy
	// node.
	maxQueue = 8192
	// maxBatch is how many spans one request carries: about 250 KiB of JSON.
	maxBatch = 512
	// gather is how long a span waits for company.
	gather = time.Second
	// postTimeout bounds one request, from its connection to the end of its answer.
	postTimeout = 5 * time.Second
	// retryFirst and retryMost bound the growing pause after a request that may
	// succeed later.
	retryFirst = time.Second
	retryMost  = 30 * time.Second
	// maxTries is how often one batch is sent before it is dropped.
	maxTries = 5
	// warnEvery is how often the operator is told that the collector does not take
	// what it is sent.
	warnEvery = time.Minute
	// closeTime is how long Close tries to send what is left.
	closeTime = 2 * time.Second
)

// Config is what an Exporter is made of.
type Config struct {
	Endpoint   string // as Endpoint returns it
	Node       core.NodeID
	Network    core.NetworkID
	Version    string
	Registerer prometheus.Registerer // nil counts nothing
}

// Exporter is a trace.Sink that sends what it takes to a collector while Serve
// runs. It is safe for concurrent use.
type Exporter struct {
	cfg     Config
	log     zerolog.Logger
	client  *http.Client
	queue   chan trace.Span
	metrics *metrics

	left   []trace.Span // a batch that Serve could not send, for Close
	warned time.Time    // last; used by Serve, then by Close
}

var _ trace.Sink = (*Exporter)(nil)

// New returns an exporter; nothing is sent before Serve. The caller closes it when
// Serve has returned.
func New(cfg Config, log zerolog.Logger) (*Exporter, error) {
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: warnEvery,
		TLSHandshakeTimeout: postTimeout, ForceAttemptHTTP2: true}
	client := &http.Client{Transport: transport, Timeout: postTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Exporter{cfg: cfg, log: log.With().Str("collector", cfg.Endpoint).Logger(), client: client,
		queue: make(chan trace.Span, maxQueue), metrics: m}, nil
}

// Take implements trace.Sink.
func (e *Exporter) Take(s trace.Span) {
	select {
	case e.queue <- s:
	default:
		e.metrics.lost("queue", 1)
	}
}

// Serve sends spans until ctx ends.
func (e *Exporter) Serve(ctx context.Context) error {
	batch := make([]trace.Span, 0, maxBatch)
	for {
		batch = e.fill(ctx, append(batch[:0], e.left...))
		e.left = nil
		if len(batch) > 0 && !e.deliver(ctx, batch) {
			e.left = batch
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// fill waits for a span and then for more, until the batch is full, gather is over
// or ctx ends.
func (e *Exporter) fill(ctx context.Context, batch []trace.Span) []trace.Span {
	var enough <-chan time.Time
	for len(batch) < maxBatch {
		if enough == nil && len(batch) > 0 {
			enough = time.After(gather)
		}
		select {
		case s := <-e.queue:
			batch = append(batch, s)
		case <-enough:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// deliver sends a batch, again and again while that may help. It reports false
// when ctx ended before.
func (e *Exporter) deliver(ctx context.Context, batch []trace.Span) bool {
	pause := retryFirst
	for try := 1; ; try++ {
		err := e.post(ctx, batch)
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
		e.warn(err)
		var r *refusal
		if errors.As(err, &r) && !r.later || try == maxTries {
			e.metrics.lost("collector", len(batch))
			return true
		}
		if r != nil && r.after > pause {
			pause = min(r.after, retryMost)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
		pause = min(2*pause, retryMost)
	}
}

// warn tells the operator, once a minute.
func (e *Exporter) warn(err error) {
	if now := time.Now(); e.warned.IsZero() || now.Sub(e.warned) >= warnEvery {
		e.warned = now
		e.log.Warn().Err(err).Msg("the collector does not take traces; spans are kept for a while and then dropped. Work goes on")
	}
}

// Close sends what is left, once, and frees connections. Serve must have returned.
func (e *Exporter) Close() error {
	defer e.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	batch := e.left
	for {
		for len(batch) < maxBatch && len(e.queue) > 0 {
			batch = append(batch, <-e.queue)
		}
		if len(batch) == 0 {
			return nil
		}
		if err := e.post(ctx, batch); err != nil {
			e.warn(err)
			e.metrics.lost("stop", len(batch)+len(e.queue))
			return nil // a trace is not worth a node that does not stop cleanly
		}
		batch = batch[:0]
	}
}
