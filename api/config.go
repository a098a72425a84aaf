package api

import (
	"net"
	"strings"
	"time"

	"github.com/tenzro/tenzro/core"
)

// The values of Config.Auth.
const (
	AuthAuto  = "auto"  // none on loopback, token elsewhere
	AuthNone  = "none"  // anybody who can connect may do anything
	AuthToken = "token" // a bearer token of the token file
)

// Config says where the server listens and whom it serves.
type Config struct {
	Addr         string   // host:port of the API; port 0 = any free, empty host = all addresses
	MetricsAddr  string   // host:port of the second, metrics-only listener; empty = off
	Auth         string   // AuthAuto (also when empty), AuthNone or AuthToken
	Insecure     bool     // allow AuthNone on an address that is not loopback
	AllowedHosts []string // names in Host headers besides our own address and localhost
	TokensFile   string   // the file OpenTokens reads; needed when tokens are required
	SeedNames    bool     // also show the documented metrics under their trinity_* names
	Limits       Limits
}

// Limits bound what clients can take. A zero field takes its default.
type Limits struct {
	// Connections on the API listener. Too few and clients wait in the kernel's
	// backlog, too many and memory is held for idle ones (about 10 KiB each).
	Connections int // 1024
	Streams     int // open event streams (SSE), 256
	Sockets     int // open WebSockets, 256
	// TaskBody bounds the body of a task or a result, Body all others, in bytes.
	TaskBody int64 // core.MaxTaskBytes
	Body     int64 // 64 KiB
	// BodyMemory bounds what all large bodies together hold while they are read
	// and handled; beyond it clients are told to come back.
	BodyMemory int64 // 256 MiB
	// MaxWait bounds ?wait=.
	MaxWait time.Duration // 60 s
	// Drain is how long Serve lets requests finish once its context ended.
	Drain time.Duration // 10 s
	// Requests per second, with bursts of twice as much: from one loopback
	// address, from any other address, with one token. Too low and honest batch
	// clients see 429, too high and one client can starve the rest.
	LoopbackRate float64 // 20,000
	AddressRate  float64 // 200
	TokenRate    float64 // 2,000
	// What the tasks of one token's name may amount to while they have not ended,
	// unless the token has limits of its own. Without tokens there is no such limit.
	OpenTasks int   // 10,000
	OpenBytes int64 // of their data, 256 MiB
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.Connections, 1024)
	orDefault(&l.Streams, 256)
	orDefault(&l.Sockets, 256)
	orDefault(&l.TaskBody, core.MaxTaskBytes)
	orDefault(&l.Body, 64<<10)
	orDefault(&l.BodyMemory, 256<<20)
	orDefault(&l.MaxWait, time.Minute)
	orDefault(&l.Drain, 10*time.Second)
	orDefault(&l.LoopbackRate, 20000)
	orDefault(&l.AddressRate, 200)
	orDefault(&l.TokenRate, 2000)
	orDefault(&l.OpenTasks, 10_000)
	orDefault(&l.OpenBytes, 256<<20)
	return l
}

// orDefault also catches NaN: only a number above zero is a limit.
func orDefault[T int | int64 | float64 | time.Duration](v *T, d T) {
	if !(*v > 0) {
		*v = d
	}
}

// resolve checks c and returns it with every default filled in: Auth is then
// AuthNone or AuthToken.
func (c Config) resolve() (Config, error) {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return c, core.Errorf(core.Invalid, "api.addr", "api.addr %.80q is not host:port: %w", c.Addr, err).
			WithHint("use for example 127.0.0.1:8080")
	}
	if _, _, err := net.SplitHostPort(c.MetricsAddr); c.MetricsAddr != "" && err != nil {
		return c, core.Errorf(core.Invalid, "metrics.addr", "metrics.addr %.80q is not host:port: %w", c.MetricsAddr, err).
			WithHint("use for example 127.0.0.1:9090, or leave it empty for none")
	}
	c.Limits = c.Limits.withDefaults()
	loopback := isLoopback(host)
	switch {
	case (c.Auth == AuthAuto || c.Auth == "") && loopback:
		c.Auth = AuthNone
	case c.Auth == AuthAuto || c.Auth == "":
		c.Auth = AuthToken
	case c.Auth != AuthNone && c.Auth != AuthToken:
		return c, core.Errorf(core.Invalid, "api.auth", "api.auth %.20q is not auto, none or token", c.Auth)
	}
	if c.Auth == AuthNone && !loopback && !c.Insecure {
		return c, core.Errorf(core.Denied, "api.auth", "refusing to serve %s with api.auth none: everybody who can reach it could use this node", c.Addr).
			WithHint("use api.auth token, bind 127.0.0.1, or set api.insecure if that is meant")
	}
	if c.Auth == AuthToken && c.TokensFile == "" {
		return c, core.Errorf(core.Invalid, "api.auth", "api.auth token needs a token file")
	}
	return c, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
