package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/event"
)

const (
	signalRate  = 50 // frames per second from one client
	signalBurst = 100
	socketPing  = 30 * time.Second // a dead connection is noticed after this and socketPatience
	// socketPatience bounds one write or one answer to a ping.
	socketPatience = 10 * time.Second
)

// socket is one WebSocket connection. Two goroutines serve it: the handler's
// reads, a second one writes; the handler outlives the writer.
type socket struct {
	srv   *Server
	conn  *websocket.Conn
	out   chan SignalingMessage
	watch chan watching // from reader to writer: which events to send from now on
	stop  context.CancelCauseFunc

	member *member // the reader's; nil before a join
}

// watching is what a joined client is subscribed to; zero after a leave.
type watching struct {
	sub   *event.Subscription
	names filter
}

// closure is why a connection ends, as the client sees it.
type closure struct {
	code   websocket.StatusCode
	reason string
}

// Error implements error.
func (c closure) Error() string { return c.reason }

// socket upgrades the connection and serves it until it ends.
func (s *Server) socket(x *exchange) error {
	if err := upgradable(x.r); err != nil {
		x.Header().Set("Upgrade", "websocket")
		return err
	}
	release, err := s.ws.take("sockets")
	if err != nil {
		return err
	}
	defer release()
	open := s.metrics.streams.WithLabelValues("ws")
	open.Inc()
	defer open.Dec()
	s.sockets.Add(1)
	defer s.sockets.Done()
	conn, err := websocket.Accept(x, x.r, nil)
	if err != nil {
		return nil // Accept has answered
	}
	conn.SetReadLimit(MaxSignalBytes)
	ctx, stop := context.WithCancelCause(x.r.Context())
	k := &socket{srv: s, conn: conn, out: make(chan SignalingMessage, outQueue), watch: make(chan watching), stop: stop}
	done := make(chan struct{})
	go func() { defer close(done); k.writeLoop(ctx) }()
	stop(k.readLoop(x.r.Context(), ctx))
	if k.member != nil {
		s.hub.leave(k.member, "")
	}
	<-done
	return nil
}

// upgradable answers what is no WebSocket handshake as a problem; the library
// checks the same again.
func upgradable(r *http.Request) error {
	want := refuse(http.StatusUpgradeRequired, "upgrade_required", "this endpoint speaks WebSocket only", "connect with a WebSocket client")
	if !r.ProtoAtLeast(1, 1) || r.ProtoMajor > 1 || !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket") {
		return want
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.Header.Get("Sec-WebSocket-Key")))
	if err != nil || len(key) != 16 || len(r.Header.Values("Sec-WebSocket-Key")) != 1 || r.Header.Get("Sec-WebSocket-Version") != "13" {
		return core.Errorf(core.Invalid, "Sec-WebSocket-Key", "the WebSocket handshake is malformed")
	}
	return nil
}

func hasToken(h http.Header, name, token string) bool {
	for _, v := range h.Values(name) {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// readLoop handles frames until the connection ends and returns why. It reads
// under base, because the library drops a connection whose read is cancelled,
// without a word; writer ends when the writer does.
func (k *socket) readLoop(base, writer context.Context) error {
	limit := rate.NewLimiter(signalRate, signalBurst)
	for {
		kind, b, err := k.conn.Read(base)
		if err != nil {
			return err
		}
		if !limit.Allow() {
			k.answer(signalError("", tooFast(time.Second, "this client")))
			return closure{websocket.StatusPolicyViolation, "too many frames"}
		}
		msg, err := parseSignal(b)
		if kind != websocket.MessageText {
			err = core.Errorf(core.Invalid, "type", "frames must be text")
		}
		if err == nil {
			err = k.handle(writer, msg)
		}
		if err != nil && !k.answer(signalError(msg.ID, err)) {
			return closure{websocket.StatusPolicyViolation, "frames are not read"}
		}
	}
}

// answer queues a frame for this client, false when it does not read.
func (k *socket) answer(m SignalingMessage) bool {
	select {
	case k.out <- m:
		return true
	default:
		return false
	}
}

func (k *socket) handle(ctx context.Context, msg SignalingMessage) error {
	switch {
	case msg.Type == SignalPing:
		if !k.answer(SignalingMessage{Type: SignalPong, ID: msg.ID}) {
			return core.Errorf(core.Exhausted, "ping", "this connection has too many unread frames")
		}
		return nil
	case msg.Type == SignalJoin:
		return k.join(ctx, msg)
	case k.member == nil:
		return core.Errorf(core.Conflict, "type", "a %s needs a join first", msg.Type)
	case msg.From != "" && msg.From != k.member.id || msg.Room != "" && msg.Room != k.member.room:
		return core.Errorf(core.Denied, "from", "this connection joined as %q in room %q", k.member.id, k.member.room)
	case msg.Type == SignalLeave:
		k.follow(ctx, watching{}) // before the answer: no event comes behind it
		k.srv.hub.leave(k.member, msg.ID)
		k.member = nil
		return nil
	}
	return k.srv.hub.route(k.member, msg)
}

func (k *socket) join(ctx context.Context, msg SignalingMessage) error {
	if k.member != nil {
		return core.Errorf(core.Conflict, "type", "this connection joined as %q already", k.member.id).WithHint("leave first")
	}
	var w watching
	if msg.Events != nil {
		var err error
		if w.names, err = newFilter("events", msg.Events); err != nil {
			return err
		}
	}
	m := &member{id: clientID(msg), room: msg.Room, out: k.out,
		slow: func() { k.stop(closure{websocket.StatusTryAgainLater, "frames are not read"}) }}
	w.sub = k.srv.deps.Events.Subscribe(event.Live, eventBuffer) // before the answer: no event after it is missed
	if err := k.srv.hub.join(m, msg.ID); err != nil {
		w.close()
		return err
	}
	k.member = m
	k.follow(ctx, w)
	return nil
}

func clientID(join SignalingMessage) string {
	switch {
	case join.From != "":
		return join.From
	case join.ID != "":
		return join.ID
	}
	return uuid.NewString()
}

// follow tells the writer what to watch and returns once it knows; the writer
// closes what it is given.
func (k *socket) follow(ctx context.Context, w watching) {
	select {
	case k.watch <- w:
	case <-ctx.Done():
		w.close()
	}
}

func (w watching) close() {
	if w.sub != nil {
		w.sub.Close()
	}
}

// writeLoop sends what is queued and what happens until ctx ends.
func (k *socket) writeLoop(ctx context.Context) {
	var w watching
	var told uint64
	defer func() { k.end(ctx, w) }()
	tick := time.NewTicker(socketPing)
	defer tick.Stop()
	var err error
	for err == nil {
		var events <-chan event.Event
		if w.sub != nil && len(k.out) == 0 { // answers precede the events they ask for
			events = w.sub.C()
		}
		select {
		case <-ctx.Done():
			return
		case <-k.srv.draining.Done():
			k.stop(closure{websocket.StatusGoingAway, "the node is stopping"})
			return
		case <-tick.C:
			err = k.ping(ctx)
		case m := <-k.out:
			err = k.send(ctx, m)
		case next := <-k.watch:
			w.close()
			w, told = next, 0
		case e := <-events:
			if err = k.lost(ctx, w.sub, &told); err == nil && w.names.wants(e.Name) {
				err = k.send(ctx, SignalingMessage{Type: SignalEvent, Event: eventJSON(e)})
			}
		}
	}
	k.stop(err)
}

// lost tells a client that read too slowly how many events it missed.
func (k *socket) lost(ctx context.Context, sub *event.Subscription, told *uint64) error {
	d := sub.Dropped()
	if d == *told {
		return nil
	}
	missed := d - *told
	*told = d
	k.srv.metrics.drops.Add(float64(missed))
	return k.send(ctx, signalError("", core.Errorf(core.Exhausted, "event", "%d events were lost: this client reads too slowly", missed)))
}

func (k *socket) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, socketPatience)
	defer cancel()
	return k.conn.Ping(ctx)
}

func (k *socket) send(ctx context.Context, m SignalingMessage) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), socketPatience) // a frame is sent whole
	defer cancel()
	return k.conn.Write(ctx, websocket.MessageText, b)
}

// end sends what still waits and closes the connection with the reason ctx
// ended for, which also ends the reader.
func (k *socket) end(ctx context.Context, w watching) {
	w.close()
	why := closure{websocket.StatusNormalClosure, ""}
	if c, ok := context.Cause(ctx).(closure); ok {
		why = c
	}
	for err := error(nil); err == nil && len(k.out) > 0; {
		err = k.send(ctx, <-k.out)
	}
	_ = k.conn.Close(why.code, why.reason)
}
