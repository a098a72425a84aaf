package doctor

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenzro/tenzro/core"
)

const (
	gatewayPort = "8080" // where a bootstrap node's API is by default
	// Messages from more than a minute ahead are refused; a few seconds are a
	// clock that nobody sets.
	skewFail = 60 * time.Second
	skewWarn = 2 * time.Second
)

// clock asks the server that was named, else the running node, which hears its
// peers' clocks, else gateways beside bootstrap nodes.
func (in Input) clock(ctx context.Context, a answers) []Line {
	if in.ClockURL == "" && a.err == nil && a.status.ClockSkewMS != nil {
		skew := time.Duration(*a.status.ClockSkewMS) * time.Millisecond
		return judgeClock(skew, against(a.status.ClockPeers, skew))
	}
	const fix = "compare with a server you trust: tenzro doctor --clock https://example.org"
	best, ok := in.bestReading(ctx)
	if !ok {
		return one("clock", Warn, fix, "not compared: nobody with a clock answered")
	}
	return judgeClock(best.skew.Round(time.Second), best.url) // a Date is no better
}

// against says whose clocks the running node compared with.
func against(peers int, skew time.Duration) string {
	switch {
	case peers > 1:
		return fmt.Sprintf("the clocks of %d peers", peers)
	case skew.Abs() > skewWarn:
		return "the only peer heard, whose clock may be the wrong one"
	}
	return "the only peer heard"
}

// judgeClock says how bad it is that our clock is ahead of whose by skew.
func judgeClock(skew time.Duration, whose string) []Line {
	const check, fix = "clock", "set the clock, for example with: timedatectl set-ntp true"
	switch {
	case skew.Abs() > skewFail:
		return one(check, Fail, fix, "%s off against %s: messages of this node are refused as stale", skew.Round(time.Second), whose)
	case skew.Abs() > skewWarn:
		return one(check, Warn, fix, "%s off against %s", skew.Round(100*time.Millisecond), whose)
	}
	return okay(check, "agrees with %s", whose)
}

// reading is what one HTTP server's clock says of ours.
type reading struct {
	url  string
	skew time.Duration
}

// bestReading asks HTTP servers, whose Date header is good to a second, and
// returns the reading that is kindest to our clock.
func (in Input) bestReading(ctx context.Context) (best reading, ok bool) {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(dialsAtOnce)
	for _, u := range in.clockURLs() {
		group.Go(func() error {
			skew, err := in.skew(ctx, u)
			if err != nil {
				return nil // a server that does not answer has no say
			}
			mu.Lock()
			defer mu.Unlock()
			if !ok || skew.Abs() < best.skew.Abs() {
				best, ok = reading{u, skew}, true
			}
			return nil
		})
	}
	_ = group.Wait() // the goroutines return no errors
	return best, ok
}

// clockURLs are the one that was named, or the gateways that usually run on
// bootstrap nodes.
func (in Input) clockURLs() []string {
	if in.ClockURL != "" {
		return []string{in.ClockURL}
	}
	if in.Config == nil {
		return nil
	}
	seen := map[string]bool{}
	var urls []string
	for _, text := range in.Config.P2P.Bootstrap {
		host, _, _ := endpoint(text)
		ip := net.ParseIP(host)
		if host == "" || seen[host] || ip != nil && ip.IsLoopback() || len(urls) == maxBootstrap {
			continue // our own machine's clock proves nothing
		}
		seen[host] = true
		urls = append(urls, "http://"+net.JoinHostPort(host, gatewayPort)+"/livez")
	}
	return urls
}

// skew is how far our clock is ahead of the server's.
func (in Input) skew(ctx context.Context, target string) (time.Duration, error) {
	if u, err := url.Parse(target); err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return 0, core.Errorf(core.Invalid, "--clock", "%.80q is not an http URL", target)
	}
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, target, nil)
	if err != nil {
		return 0, err
	}
	before := in.System.Now()
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return 0, err
	}
	_ = resp.Body.Close()
	after := in.System.Now()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0, core.Errorf(core.Corrupt, "clock", "no Date header: %w", err)
	}
	// The header is cut to whole seconds: half of one is the expected loss.
	return before.Add(after.Sub(before) / 2).Sub(date.Add(time.Second / 2)), nil
}
