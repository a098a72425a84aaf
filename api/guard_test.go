package api_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/core"
)

// TestHostAndOrigin: names that are not ours (a rebound DNS name) and pages of
// other sites are refused.
func TestHostAndOrigin(t *testing.T) {
	tests := []struct {
		name    string
		addr    string // where the server listens
		headers []string
		status  int
	}{
		{"our address", "127.0.0.1:8080", []string{"Host: 127.0.0.1:8080"}, 200},
		{"localhost in any case", "127.0.0.1:8080", []string{"Host: LocalHost"}, 200},
		{"root dot", "127.0.0.1:8080", []string{"Host: localhost.:8080"}, 200},
		{"IPv6 loopback", "127.0.0.1:8080", []string{"Host: [::1]:8080"}, 200},
		{"rebound name", "127.0.0.1:8080", []string{"Host: evil.example:8080"}, 403},
		{"no name", "127.0.0.1:8080", []string{"Host: "}, 403},
		{"name that contains ours", "127.0.0.1:8080", []string{"Host: localhost.evil.example"}, 403},
		{"another address, on loopback", "127.0.0.1:8080", []string{"Host: 10.0.0.7"}, 403},
		{"another address, listening on all", "0.0.0.0:8080", []string{"Host: 10.0.0.7:8080"}, 200},
		{"configured name", "127.0.0.1:8080", []string{"Host: node.example:80"}, 200},
		{"configured name with port", "127.0.0.1:8080", []string{"Host: other.example"}, 200},
		{"same origin", "127.0.0.1:8080", []string{"Origin: http://127.0.0.1:8080"}, 200},
		{"another port is another origin", "127.0.0.1:8080", []string{"Origin: http://127.0.0.1:3000"}, 403},
		{"another site", "127.0.0.1:8080", []string{"Origin: https://evil.example"}, 403},
		{"opaque origin", "127.0.0.1:8080", []string{"Origin: null"}, 403},
		{"two origins", "127.0.0.1:8080", []string{"Origin: http://127.0.0.1:8080", "Origin: http://127.0.0.1:8080"}, 403},
		{"broken origin", "127.0.0.1:8080", []string{"Origin: ::"}, 403},
		{"an image on another site", "127.0.0.1:8080", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, 403},
		{"a link on another site", "127.0.0.1:8080", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 200},
		{"our own page", "127.0.0.1:8080", []string{"Sec-Fetch-Site: same-origin"}, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, newNetwork(), func(c *api.Config, _ *api.Deps) {
				c.Addr, c.Insecure, c.Auth = tt.addr, true, api.AuthNone
				c.AllowedHosts = []string{"node.example", "Other.Example:443"}
			})
			w := send(s, "GET", "/livez", "", tt.headers...)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if tt.status == 403 && problem(t, w).Hint == "" {
				t.Error("no hint")
			}
		})
	}
}

// TestAuthIsDecidedAtStart: loopback needs no token, anything else does, and a
// server that would be open to everybody refuses to be built.
func TestAuthIsDecidedAtStart(t *testing.T) {
	tests := []struct {
		addr, auth string
		insecure   bool
		refused    core.Kind // 0 = built
		open       bool      // a request without a token is served
	}{
		{"127.0.0.1:0", "", false, 0, true},
		{"[::1]:0", api.AuthAuto, false, 0, true},
		{"localhost:0", api.AuthAuto, false, 0, true},
		{"127.0.0.1:0", api.AuthToken, false, 0, false},
		{"0.0.0.0:0", api.AuthAuto, false, 0, false},
		{":0", api.AuthAuto, false, 0, false},
		{"0.0.0.0:0", api.AuthNone, false, core.Denied, false},
		{"node.example:80", api.AuthNone, false, core.Denied, false},
		{"0.0.0.0:0", api.AuthNone, true, 0, true},
		{"127.0.0.1:0", "basic", false, core.Invalid, false},
		{"127.0.0.1", "", false, core.Invalid, false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s %v", tt.addr, tt.auth, tt.insecure), func(t *testing.T) {
			cfg := api.Config{Addr: tt.addr, Auth: tt.auth, Insecure: tt.insecure, TokensFile: tokensPath(t)}
			s, err := api.New(cfg, newNetwork().deps(), zerolog.Nop())
			if err != nil || tt.refused != 0 {
				if core.KindOf(err) != tt.refused || tt.refused == 0 {
					t.Errorf("error %v, want kind %v", err, tt.refused)
				}
				return
			}
			if w := send(s, "GET", "/api/v1/node", ""); (w.Code == 200) != tt.open {
				t.Errorf("without a token: status %d", w.Code)
			}
		})
	}
}

// TestTokens at the door: who has none, a wrong one, a revoked one; and what is
// served to everybody.
func TestTokenAtTheDoor(t *testing.T) {
	path := tokensPath(t)
	tokens, err := api.OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	id, secret, err := tokens.Create("laptop", api.TokenLimits{})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, newNetwork(), func(c *api.Config, _ *api.Deps) { c.Auth, c.TokensFile = api.AuthToken, path })
	with := func(target, value string) *httptest.ResponseRecorder {
		return send(s, "GET", target, "", "Authorization: "+value)
	}
	for _, good := range []string{"Bearer " + secret, "bearer  " + secret} {
		if w := with("/api/v1/node", good); w.Code != 200 {
			t.Errorf("%.7s...: status %d", good, w.Code)
		}
	}
	for _, bad := range []string{"", "Bearer", "Bearer ", "Basic " + secret, secret, "Bearer tz_", "Bearer " + secret + "x", "Bearer " + secret[3:]} {
		w := with("/metrics", bad)
		if p := problem(t, w); w.Code != 401 || p.Code != "unauthenticated" || w.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%q: status %d, %+v", bad, w.Code, p)
		}
	}
	for _, open := range []string{"/livez", "/readyz", "/health", "/openapi.json"} {
		if w := send(s, "GET", open, ""); w.Code != 200 {
			t.Errorf("%s without a token: status %d", open, w.Code)
		}
	}
	if err := tokens.Revoke(id); err != nil {
		t.Fatal(err)
	}
	if w := with("/api/v1/node", "Bearer "+secret); w.Code != 401 {
		t.Errorf("revoked token: status %d", w.Code)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := with("/api/v1/node", "Bearer "+secret); w.Code != 503 || strings.Contains(w.Body.String(), path) {
		t.Errorf("damaged file: status %d, body %s", w.Code, w.Body)
	}
}

// TestRates: every address and every token has its own allowance; who has used
// it up is told when to come back.
//
// spec 2.53
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newNetwork(), func(c *api.Config, _ *api.Deps) { c.Limits = api.Limits{LoopbackRate: 0.5, AddressRate: 0.25} })
		from := func(remote string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", "/livez", nil)
			r.Host, r.RemoteAddr = "localhost", remote
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			return w
		}
		steps := []struct {
			remote string
			after  time.Duration // before the request
			again  string        // Retry-After, "" = served
		}{
			{"127.0.0.1:1", 0, ""},
			{"127.0.0.1:2", 0, "2"},
			{"127.0.0.2:1", 0, ""},
			{"10.0.0.1:1", 0, ""},
			{"10.0.0.1:2", 0, "4"},
			{"[2001:db8:1:2::1]:1", 0, ""},
			{"[2001:db8:1:2:ffff::9]:1", 0, "4"}, // the same /64
			{"[2001:db8:1:3::1]:1", 0, ""},
			{"127.0.0.1:3", 2 * time.Second, ""},
			{"[::ffff:10.0.0.1]:3", 0, "2"}, // the same IPv4 address
			{"10.0.0.1:4", 2 * time.Second, ""},
		}
		for i, step := range steps {
			time.Sleep(step.after)
			w := from(step.remote)
			if got := w.Header().Get("Retry-After"); got != step.again || (w.Code == 429) != (step.again != "") {
				t.Errorf("step %d, %s: status %d, retry after %q, want %q", i, step.remote, w.Code, got, step.again)
			}
		}
	})
}

// TestSubmitter: a task carries the name of the token it came with, whatever its
// body says, and a token may have limits of its own.
func TestSubmitter(t *testing.T) {
	path := tokensPath(t)
	tokens, err := api.OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	_, plain, errA := tokens.Create("alice", api.TokenLimits{})
	_, small, errB := tokens.Create("bob", api.TokenLimits{Rate: 1, OpenTasks: 7, OpenBytes: 1 << 20})
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	n := newNetwork()
	s := newServer(t, n, func(c *api.Config, _ *api.Deps) { c.Auth, c.TokensFile = api.AuthToken, path })
	const body = `{"type":"compute","data":{}}`
	for i, want := range []struct {
		secret, body string
		status       int
	}{
		{plain, body, 202}, {small, body, 202}, {small, body, 202}, {small, body, 429}, {plain, body, 202},
		{plain, `{"type":"compute","data":{},"submitter":"bob"}`, 400},
	} {
		w := send(s, "POST", "/api/v1/tasks", want.body, "Authorization: Bearer "+want.secret)
		if w.Code != want.status || want.status == 429 && w.Header().Get("Retry-After") == "" {
			t.Errorf("request %d: status %d, want %d: %s", i, w.Code, want.status, w.Body)
		}
	}
	var names []string
	for _, spec := range n.specs {
		names = append(names, spec.Submitter)
	}
	if got := strings.Join(names, " "); got != "alice bob bob alice" {
		t.Errorf("submitted by %s", got)
	}
	if tasks, size := s.Quota("bob"); tasks != 7 || size != 1<<20 {
		t.Errorf("bob may have %d tasks of %d bytes open", tasks, size)
	}
	if tasks, size := s.Quota("alice"); tasks != 10_000 || size != 256<<20 {
		t.Errorf("alice may have %d tasks of %d bytes open", tasks, size)
	}
	if w := send(s, "POST", "/api/v1/workflows", sampleGraph, "Authorization: Bearer "+plain); w.Code != 202 || n.specs[4].Submitter != "alice" {
		t.Errorf("a workflow: status %d, submitter %q", w.Code, n.specs[4].Submitter)
	}
	open := newNetwork()
	s = newServer(t, open, func(*api.Config, *api.Deps) {})
	if w := send(s, "POST", "/api/v1/tasks", body); w.Code != 202 || open.specs[0].Submitter != core.Anonymous {
		t.Errorf("without a token: status %d, submitter %q", w.Code, open.specs[0].Submitter)
	}
	if tasks, size := s.Quota(core.Anonymous); tasks != 0 || size != 0 {
		t.Errorf("without tokens there is a limit of %d tasks and %d bytes", tasks, size)
	}
	for _, bad := range []api.TokenLimits{{Rate: -1}, {OpenTasks: -1}, {OpenBytes: -1}, {Rate: 1_000_001}} {
		if _, _, err := tokens.Create("x", bad); !errors.Is(err, core.Invalid) {
			t.Errorf("limits %+v: %v", bad, err)
		}
	}
}

// TestTokenRate: a token's allowance is used up from anywhere.
func TestTokenRate(t *testing.T) {
	path := tokensPath(t)
	tokens, err := api.OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	_, a, errA := tokens.Create("a", api.TokenLimits{})
	_, b, errB := tokens.Create("b", api.TokenLimits{})
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	s := newServer(t, newNetwork(), func(c *api.Config, _ *api.Deps) {
		c.Auth, c.TokensFile, c.Limits.TokenRate = api.AuthToken, path, 0.01
	})
	for i, want := range []struct {
		secret string
		status int
	}{{a, 200}, {a, 429}, {b, 200}} {
		if w := send(s, "GET", "/api/v1/roles", "", "Authorization: Bearer "+want.secret); w.Code != want.status {
			t.Errorf("request %d: status %d, want %d", i, w.Code, want.status)
		}
	}
}
