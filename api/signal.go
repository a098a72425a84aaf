package api

import (
	"encoding/json"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// SignalType is what a SignalingMessage means.
type SignalType string

// The types a client sends.
const (
	SignalJoin  SignalType = "join"   // take a client id in a room; answered with joined
	SignalLeave SignalType = "leave"  // give it up; answered with peer_left
	SignalSend  SignalType = "signal" // hand Data to the client To of the same room; also sent to that client
	SignalPing  SignalType = "ping"   // answered with pong
)

// The types a server sends.
const (
	SignalJoined     SignalType = "joined"
	SignalPeerJoined SignalType = "peer_joined"
	SignalPeerLeft   SignalType = "peer_left"
	SignalEvent      SignalType = "event"
	SignalError      SignalType = "error"
	SignalPong       SignalType = "pong"
)

// MaxSignalBytes is the largest frame of the WebSocket.
const MaxSignalBytes = 64 << 10

// SignalingMessage is every frame of the WebSocket at /ws (document 0,
// "Networking"), both ways. Names are 1 to 64 characters of A-Z, a-z, 0-9, '_'
// and '-'.
type SignalingMessage struct {
	Type SignalType `json:"type"`
	// ID is the sender's own name for the frame; the answer carries it. A join
	// without From takes its client id from here.
	ID     string          `json:"id,omitempty"`
	From   string          `json:"from,omitempty"` // the client id; the server fills it in
	To     string          `json:"to,omitempty"`
	Room   string          `json:"room,omitempty"`   // empty = the common room
	Data   json.RawMessage `json:"data,omitempty"`   // of a signal; never looked into
	Events []string        `json:"events,omitempty"` // of a join: only these events; absent = all
	Peers  []string        `json:"peers,omitempty"`  // of a joined: who is in the room already
	Event  json.RawMessage `json:"event,omitempty"`  // of an event: as in the event stream
	Error  *SignalFault    `json:"error,omitempty"`
}

// SignalFault is what an error frame says.
type SignalFault struct {
	Code    string `json:"code"` // a core.Kind name
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// parseSignal reads a client's frame. The message is returned with an error as
// well when its ID is usable, so that the answer can carry it.
func parseSignal(b []byte) (SignalingMessage, error) {
	var m SignalingMessage
	if err := wire.DecodeStrictClosed(b, &m); err != nil {
		return SignalingMessage{}, placed(err)
	}
	for _, f := range []struct{ name, value string }{{"id", m.ID}, {"from", m.From}, {"to", m.To}, {"room", m.Room}} {
		if f.value != "" && !validID(f.value) {
			if f.name == "id" {
				m.ID = ""
			}
			return m, core.Errorf(core.Invalid, f.name, "%s %.40q must be 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'", f.name, f.value)
		}
	}
	return m, m.validate()
}

// validate checks that the frame is one a client may send and has the fields
// of its type and no others.
func (m SignalingMessage) validate() error {
	type rule struct {
		field string
		given bool
	}
	given := []rule{{"from", m.From != ""}, {"to", m.To != ""}, {"room", m.Room != ""}, {"data", m.Data != nil}, {"events", m.Events != nil},
		{"peers", m.Peers != nil}, {"event", m.Event != nil}, {"error", m.Error != nil}}
	allowed := map[SignalType]map[string]bool{
		SignalJoin:  {"from": true, "room": true, "events": true},
		SignalLeave: {"from": true, "room": true},
		SignalSend:  {"from": true, "to": true, "room": true, "data": true},
		SignalPing:  {},
	}[m.Type]
	if allowed == nil {
		return core.Errorf(core.Invalid, "type", "type %.40q is not one a client sends", m.Type).WithHint("use join, leave, signal or ping")
	}
	for _, r := range given {
		if r.given && !allowed[r.field] {
			return core.Errorf(core.Invalid, r.field, "a %s has no %s", m.Type, r.field)
		}
	}
	switch {
	case m.Type == SignalSend && m.To == "":
		return core.Errorf(core.Invalid, "to", "to is missing: a signal goes to one client")
	case m.Type == SignalSend && m.Data == nil:
		return core.Errorf(core.Invalid, "data", "data is missing")
	}
	return nil
}

// signalError is the error frame for err.
func signalError(id string, err error) SignalingMessage {
	p := problemOf(err)
	return SignalingMessage{Type: SignalError, ID: id, Error: &SignalFault{Code: p.Code, Message: p.Detail, Field: p.Field, Hint: p.Hint}}
}
