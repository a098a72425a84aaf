package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/tenzro/tenzro/api"
	"github.com/tenzro/tenzro/internal/event"
)

// peer is one WebSocket client of a test.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
}

func dial(t *testing.T, url string) *peer {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), url+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", resp.StatusCode)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &peer{t, conn}
}

func (p *peer) send(text string) {
	p.t.Helper()
	if err := p.conn.Write(p.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) read() string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	_, b, err := p.conn.Read(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

func (p *peer) wants(frames ...string) {
	p.t.Helper()
	for _, want := range frames {
		if got := p.read(); got != want {
			p.t.Errorf("got %s, want %s", got, want)
		}
	}
}

// closed returns the code the server ended the connection with.
func (p *peer) closed() websocket.StatusCode {
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	for {
		if _, _, err := p.conn.Read(ctx); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

func serve(t *testing.T, change func(*api.Config, *api.Deps)) (url string, bus *event.Bus) {
	t.Helper()
	s := newServer(t, newNetwork(), func(c *api.Config, d *api.Deps) {
		bus = d.Events
		if change != nil {
			change(c, d)
		}
	})
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return web.URL, bus
}

// TestSignaling: clients join rooms under an id, hear of each other, and send
// signals to one another through the node.
//
// spec 0.13 0.20 0.23
func TestSignaling(t *testing.T) {
	url, _ := serve(t, nil)
	alice, bob, carol := dial(t, url), dial(t, url), dial(t, url)
	alice.send(`{"type":"ping","id":"p1"}`)
	alice.wants(`{"type":"pong","id":"p1"}`)
	alice.send(`{"type":"join","id":"1","from":"alice","room":"r"}`)
	alice.wants(`{"type":"joined","id":"1","from":"alice","room":"r"}`)
	bob.send(`{"type":"join","id":"bob","room":"r"}`) // without from, the id is the client's
	bob.wants(`{"type":"joined","id":"bob","from":"bob","room":"r","peers":["alice"]}`)
	alice.wants(`{"type":"peer_joined","from":"bob","room":"r"}`)
	carol.send(`{"type":"join","from":"alice"}`) // another room: the name is free there
	carol.wants(`{"type":"joined","from":"alice"}`)
	bob.send(`{"type":"signal","id":"s1","to":"alice","data":{"sdp":"x"}}`)
	alice.wants(`{"type":"signal","id":"s1","from":"bob","to":"alice","room":"r","data":{"sdp":"x"}}`)
	bob.send(`{"type":"leave","id":"2"}`)
	bob.wants(`{"type":"peer_left","id":"2","from":"bob","room":"r"}`)
	alice.wants(`{"type":"peer_left","from":"bob","room":"r"}`)
	bob.send(`{"type":"join","from":"bob2","room":"r"}`)
	bob.wants(`{"type":"joined","from":"bob2","room":"r","peers":["alice"]}`)
	alice.wants(`{"type":"peer_joined","from":"bob2","room":"r"}`)
	_ = bob.conn.CloseNow() // gone without a word
	alice.wants(`{"type":"peer_left","from":"bob2","room":"r"}`)
}

// TestSignalingEvents: a joined client gets events, all or those it names, and
// none once it left.
//
// spec 0.20 0.72 0.73 0.74
func TestSignalingEvents(t *testing.T) {
	url, bus := serve(t, nil)
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	all, some := dial(t, url), dial(t, url)
	all.send(`{"type":"join","from":"all"}`)
	all.wants(`{"type":"joined","from":"all"}`)
	bus.Publish(event.Event{Name: event.RolesChanged, At: at})
	all.wants(`{"type":"event","event":{"id":1,"name":"roles_changed","at":"2026-11-20T09:00:00Z"}}`)
	some.send(`{"type":"join","from":"some","room":"x","events":["task_failed"]}`)
	some.wants(`{"type":"joined","from":"some","room":"x"}`)
	bus.Publish(event.Event{Name: event.TaskCompleted, At: at, TaskID: "abc"})
	bus.Publish(event.Event{Name: event.TaskFailed, At: at, TaskID: "abc", Data: map[string]int{"n": 1}})
	all.wants(`{"type":"event","event":{"id":2,"name":"task_completed","at":"2026-11-20T09:00:00Z","taskId":"abc"}}`,
		`{"type":"event","event":{"id":3,"name":"task_failed","at":"2026-11-20T09:00:00Z","taskId":"abc","data":{"n":1}}}`)
	some.wants(`{"type":"event","event":{"id":3,"name":"task_failed","at":"2026-11-20T09:00:00Z","taskId":"abc","data":{"n":1}}}`)
	some.send(`{"type":"leave"}`)
	some.wants(`{"type":"peer_left","from":"some","room":"x"}`)
	some.send(`{"type":"join","from":"some","events":[]}`)
	some.read()
	bus.Publish(event.Event{Name: event.TaskFailed, At: at})
	some.send(`{"type":"ping"}`)
	some.wants(`{"type":"pong"}`) // and no event before it
}

// TestSignalingRefusals: an unknown or malformed frame is answered with an
// error that names the field, and the connection goes on.
//
// spec 0.23
func TestSignalingRefusals(t *testing.T) {
	url, _ := serve(t, nil)
	p := dial(t, url)
	tests := []struct{ name, frame, code, field string }{
		{"unknown type", `{"type":"shout","id":"7"}`, "invalid", "type"},
		{"a server's type", `{"type":"joined","id":"7"}`, "invalid", "type"},
		{"no type", `{"id":"7"}`, "invalid", "type"},
		{"not JSON", `hello`, "invalid", "body"},
		{"not an object", `[]`, "invalid", "body"},
		{"unknown field", `{"type":"ping","x":1}`, "invalid", "x"},
		{"duplicate field", `{"type":"ping","type":"join"}`, "invalid", "type"},
		{"field of another type", `{"type":"ping","to":"bob","id":"7"}`, "invalid", "to"},
		{"client id with a slash", `{"type":"join","from":"a/b","id":"7"}`, "invalid", "from"},
		{"bad frame id", `{"type":"ping","id":"a b"}`, "invalid", "id"},
		{"unknown event", `{"type":"join","events":["x"],"id":"7"}`, "invalid", "events"},
		{"signal before a join", `{"type":"signal","to":"bob","data":1,"id":"7"}`, "conflict", ""},
		{"leave before a join", `{"type":"leave","id":"7"}`, "conflict", ""},
		{"signal to nobody", `{"type":"signal","data":1,"id":"7"}`, "invalid", "to"},
		{"signal of nothing", `{"type":"signal","to":"bob","id":"7"}`, "invalid", "data"},
		{"", `{"type":"join","from":"me"}`, "", ""},
		{"second join", `{"type":"join","from":"me2","id":"7"}`, "conflict", ""},
		{"signal to a stranger", `{"type":"signal","to":"bob","data":1,"id":"7"}`, "not_found", ""},
		{"signal as somebody else", `{"type":"signal","from":"you","to":"bob","data":1,"id":"7"}`, "denied", ""},
		{"signal into another room", `{"type":"signal","room":"r","to":"bob","data":1,"id":"7"}`, "denied", ""},
	}
	for _, tt := range tests {
		p.send(tt.frame)
		var m api.SignalingMessage
		if err := json.Unmarshal([]byte(p.read()), &m); err != nil {
			t.Fatal(err)
		}
		if tt.code == "" {
			continue
		}
		if m.Type != api.SignalError || m.Error == nil || m.Error.Code != tt.code || m.Error.Field != tt.field || m.Error.Message == "" {
			t.Errorf("%s: %+v %+v", tt.name, m, m.Error)
		}
		if strings.Contains(tt.frame, `"id":"7"`) && m.ID != "7" {
			t.Errorf("%s: the answer carries id %q", tt.name, m.ID)
		}
	}
	q := dial(t, url)
	q.send(`{"type":"join","from":"me"}`)
	if got := q.read(); !strings.Contains(got, `"code":"exists"`) {
		t.Errorf("a taken id: %s", got)
	}
	if err := q.conn.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	if got := q.read(); !strings.Contains(got, "frames must be text") {
		t.Errorf("a binary frame: %s", got)
	}
}

// TestSignalingLimits: frames too large or too many end the connection; the
// number of connections is bounded; pages of other sites cannot connect.
func TestSignalingLimits(t *testing.T) {
	url, _ := serve(t, func(c *api.Config, _ *api.Deps) { c.Limits.Sockets = 2 })
	large, fast := dial(t, url), dial(t, url)
	_, resp, err := websocket.Dial(t.Context(), url+"/ws", nil)
	if err == nil || resp.StatusCode != 429 || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("third connection: %v", err)
	}
	_, resp, err = websocket.Dial(t.Context(), url+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
	if err == nil || resp.StatusCode != 403 {
		t.Errorf("another origin: %v", err)
	}
	large.send(`{"type":"join","from":"` + strings.Repeat("x", api.MaxSignalBytes) + `"}`)
	if code := large.closed(); code != websocket.StatusMessageTooBig {
		t.Errorf("large frame: closed with %v", code)
	}
	served := 0
	for ; served < 1000; served++ {
		fast.send(`{"type":"ping"}`)
		if got := fast.read(); got != `{"type":"pong"}` {
			if !strings.Contains(got, `"code":"exhausted"`) {
				t.Errorf("too many frames: %s", got)
			}
			break
		}
	}
	if code := fast.closed(); code != websocket.StatusPolicyViolation || served < 100 {
		t.Errorf("too many frames: closed with %v after %d", code, served)
	}
}

// TestSignalingNeedsAHandshake: anything else is a problem that says so.
func TestSignalingNeedsAHandshake(t *testing.T) {
	s := newServer(t, newNetwork(), nil)
	upgrade := []string{"Connection: keep-alive, Upgrade", "Upgrade: websocket"}
	tests := []struct {
		name    string
		headers []string
		status  int
	}{
		{"plain request", nil, 426},
		{"no connection header", []string{"Upgrade: websocket"}, 426},
		{"another protocol", []string{"Connection: Upgrade", "Upgrade: h2c"}, 426},
		{"no key", append(upgrade, "Sec-WebSocket-Version: 13"), 400},
		{"short key", append(upgrade, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAA"), 400},
		{"old version", append(upgrade, "Sec-WebSocket-Version: 8", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if w := send(s, "GET", "/ws", "", tt.headers...); w.Code != tt.status || problem(t, w).Code == "" {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		})
	}
}
