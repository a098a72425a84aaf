package api

import (
	"slices"
	"sync"

	"github.com/tenzro/tenzro/core"
)

// outQueue is how many frames may wait for one client. A client that cannot
// follow the comings and goings of its room is closed, because it would go on
// with a wrong picture; a signal to it is refused to its sender.
const outQueue = 64

// member is one joined client. Its owner reads out.
type member struct {
	id, room string
	out      chan SignalingMessage
	slow     func() // ends the connection of a client that does not follow
}

type seat struct{ room, id string }

// hub knows who is in which room and hands frames over; it never waits for a
// client and starts no goroutine.
type hub struct {
	mu    sync.Mutex
	seats map[seat]*member
}

func newHub() *hub { return &hub{seats: map[seat]*member{}} }

// join gives m its seat and tells the room; the answer for m itself is put in
// its queue first, so that it precedes everything the room says.
func (h *hub) join(m *member, frameID string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seats[seat{m.room, m.id}] != nil {
		return core.Errorf(core.Exists, "from", "client id %q is taken in this room", m.id).WithHint("join with another id")
	}
	joined := SignalingMessage{Type: SignalJoined, ID: frameID, From: m.id, Room: m.room, Peers: h.peers(m.room)}
	if !m.offer(joined) {
		return core.Errorf(core.Exhausted, "join", "this connection has too many unread frames")
	}
	h.tell(m.room, SignalingMessage{Type: SignalPeerJoined, From: m.id, Room: m.room})
	h.seats[seat{m.room, m.id}] = m
	return nil
}

// leave frees the seat and tells the room, m included.
func (h *hub) leave(m *member, frameID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seats[seat{m.room, m.id}] != m {
		return
	}
	delete(h.seats, seat{m.room, m.id})
	h.tell(m.room, SignalingMessage{Type: SignalPeerLeft, From: m.id, Room: m.room})
	m.offer(SignalingMessage{Type: SignalPeerLeft, ID: frameID, From: m.id, Room: m.room})
}

// route hands a signal of m to the client it is for.
func (h *hub) route(m *member, msg SignalingMessage) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	to := h.seats[seat{m.room, msg.To}]
	if to == nil {
		return core.Errorf(core.NotFound, "to", "no client %q is in this room", msg.To)
	}
	if !to.offer(SignalingMessage{Type: SignalSend, ID: msg.ID, From: m.id, To: msg.To, Room: m.room, Data: msg.Data}) {
		return core.Errorf(core.Exhausted, "to", "client %q does not read its frames", msg.To).WithHint("try again later")
	}
	return nil
}

// peers lists a room in order. The caller holds mu.
func (h *hub) peers(room string) []string {
	ids := []string{}
	for s := range h.seats {
		if s.room == room {
			ids = append(ids, s.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// tell sends to everybody in a room. The caller holds mu.
func (h *hub) tell(room string, msg SignalingMessage) {
	for s, m := range h.seats {
		if s.room == room && !m.offer(msg) {
			m.slow()
		}
	}
}

func (m *member) offer(msg SignalingMessage) bool {
	select {
	case m.out <- msg:
		return true
	default:
		return false
	}
}
