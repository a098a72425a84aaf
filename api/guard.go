package api

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/tenzro/tenzro/core"
)

// trackedClients bounds how many addresses or tokens have a rate of their own;
// the one seen longest ago is forgotten first.
const trackedClients = 8192

// guard decides who may talk to us at all.
type guard struct {
	hosts    map[string]bool // names a Host header may carry
	literals bool            // any IP address may be named: we do not listen on loopback only
	loopback limiters[netip.Addr]
	remote   limiters[netip.Addr]
	token    limiters[string]
}

func newGuard(cfg Config) (*guard, error) {
	host, _, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, err
	}
	g := &guard{hosts: map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true}, literals: !isLoopback(host)}
	for _, h := range append([]string{host}, cfg.AllowedHosts...) {
		if h != "" {
			g.hosts[hostName(h)] = true
		}
	}
	var errs [3]error
	g.loopback, errs[0] = newLimiters[netip.Addr](cfg.Limits.LoopbackRate)
	g.remote, errs[1] = newLimiters[netip.Addr](cfg.Limits.AddressRate)
	g.token, errs[2] = newLimiters[string](cfg.Limits.TokenRate)
	return g, errors.Join(errs[:]...)
}

// screen runs before routing: rate, host name, origin.
func (s *Server) screen(x *exchange) error {
	if wait := s.guard.rate(x.r.RemoteAddr); wait > 0 {
		return s.refused("rate", tooFast(wait, "this address"))
	}
	if !s.guard.knows(x.r.Host) {
		return s.refused("host", core.Errorf(core.Denied, "Host", "this node does not answer for the host name %.80q", x.r.Host).
			WithHint("use its address or localhost, or add the name to api.allowedHosts"))
	}
	if !sameOrigin(x.r) {
		return s.refused("origin", core.Errorf(core.Denied, "Origin", "requests from pages of other origins are refused").
			WithHint("call the API from a program, or from a page it serves itself"))
	}
	return nil
}

// admit runs once the route is known: the token and its rate.
func (s *Server) admit(x *exchange) error {
	x.submitter = core.Anonymous
	if s.tokens == nil || x.route.open {
		return nil
	}
	scheme, secret, _ := strings.Cut(x.r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return s.refused("auth", refuse(http.StatusUnauthorized, "unauthenticated", "this node wants a token",
			"send Authorization: Bearer <secret>; make one with `tenzro token create`"))
	}
	token, err := s.tokens.Check(strings.TrimSpace(secret))
	switch {
	case err == nil:
	case core.KindOf(err) == core.NotFound:
		return s.refused("auth", refuse(http.StatusUnauthorized, "unauthenticated", "the token is not known here",
			"it may be revoked; make one with `tenzro token create`"))
	default:
		s.log.Error().Err(err).Msg("the token file cannot be used: every token is refused")
		return core.Errorf(core.Unavailable, "tokens", "this node cannot check tokens right now")
	}
	if wait := s.guard.token.takeAt(token.ID, rate.Limit(token.Limits.Rate)); wait > 0 {
		return s.refused("rate", tooFast(wait, "this token"))
	}
	x.submitter = token.Name
	return nil
}

func (s *Server) refused(reason string, err error) error {
	s.metrics.refused.WithLabelValues(reason).Inc()
	return err
}

func tooFast(wait time.Duration, who string) *Problem {
	p := refuse(http.StatusTooManyRequests, core.Exhausted.String(), who+" sends more requests than it may", "wait as long as Retry-After says")
	p.retryAfter = wait
	return p
}

// knows reports whether we answer for the host of a Host header. A page that
// rebinds its name to our address still sends its name; it cannot send ours.
func (g *guard) knows(host string) bool {
	name := hostName(host)
	if g.hosts[name] {
		return true
	}
	_, err := netip.ParseAddr(name)
	return g.literals && err == nil
}

// hostName strips port, brackets, the root dot and case.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// sameOrigin refuses what a browser sends on behalf of another site's page;
// following a link to us is fine.
func sameOrigin(r *http.Request) bool {
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		u, err := url.Parse(origins[0])
		return len(origins) == 1 && err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	}
	return true
}

// rate takes one request from the remote address's allowance and returns how
// long it has to wait, 0 for not at all. IPv6 clients own a /64.
func (g *guard) rate(remote string) time.Duration {
	ap, err := netip.ParseAddrPort(remote)
	addr := ap.Addr().Unmap().WithZone("")
	if err != nil {
		addr = netip.Addr{} // not a network connection: all of them share one allowance
	}
	if addr.IsLoopback() {
		return g.loopback.take(addr)
	}
	if addr.Is6() {
		addr = netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	return g.remote.take(addr)
}

// limiters is a token bucket per key.
type limiters[K comparable] struct {
	seen  *lru.Cache[K, *rate.Limiter]
	limit rate.Limit
}

func newLimiters[K comparable](perSecond float64) (limiters[K], error) {
	seen, err := lru.New[K, *rate.Limiter](trackedClients)
	return limiters[K]{seen: seen, limit: rate.Limit(perSecond)}, err
}

func (l limiters[K]) take(key K) time.Duration { return l.takeAt(key, l.limit) }

// takeAt is take for a key that has a limit of its own; 0 = it has none.
func (l limiters[K]) takeAt(key K, limit rate.Limit) time.Duration {
	if limit == 0 {
		limit = l.limit
	}
	bucket, ok := l.seen.Get(key)
	if !ok {
		fresh := rate.NewLimiter(limit, max(1, int(2*limit)))
		if bucket, ok, _ = l.seen.PeekOrAdd(key, fresh); !ok {
			bucket = fresh
		}
	}
	r := bucket.Reserve()
	wait := r.Delay()
	if wait > 0 {
		r.Cancel()
	}
	return wait
}
