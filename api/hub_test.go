package api

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// seatOf joins a client that reads nothing.
func seatOf(t *testing.T, h *hub, id string, queue int, slow func()) *member {
	t.Helper()
	m := &member{id: id, out: make(chan SignalingMessage, queue), slow: slow}
	if err := h.join(m, ""); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestHubNeverWaits: a client that does not read is ended when it would miss
// who came or went, and a signal to it is refused to the sender.
func TestHubNeverWaits(t *testing.T) {
	h := newHub()
	ended := 0
	lazy := seatOf(t, h, "lazy", 2, func() { ended++ }) // its own joined takes one place
	busy := seatOf(t, h, "busy", 100, func() { t.Error("a client that reads was ended") })
	err := h.route(busy, SignalingMessage{Type: SignalSend, To: "lazy", Data: []byte("1")})
	if !errors.Is(err, core.Exhausted) || ended != 0 {
		t.Errorf("signal to a full queue: %v, ended %d", err, ended)
	}
	seatOf(t, h, "third", 100, nil)
	if ended != 1 {
		t.Errorf("ended %d times after missing a join", ended)
	}
	h.leave(lazy, "")
	h.leave(lazy, "") // the connection's end comes after its leave
	if got := fmt.Sprint(h.peers("")); got != "[busy third]" {
		t.Errorf("left are %s", got)
	}
	full := &member{id: "full", out: make(chan SignalingMessage)}
	if err := h.join(full, ""); !errors.Is(err, core.Exhausted) || len(h.seats) != 2 {
		t.Errorf("joining with a full queue: %v, %d seats", err, len(h.seats))
	}
}

// FuzzSignal: no frame is accepted that breaks the rules of its type, and every
// refusal is the client's fault.
//
// spec 0.23
func FuzzSignal(f *testing.F) {
	for _, seed := range []string{`{"type":"join","from":"a","events":["task_failed"]}`, `{"type":"signal","to":"b","data":{"a":[1]}}`,
		`{"type":"ping","id":"` + "\u0000" + `"}`, `{"type":"leave","room":"x"}`, `{"Type":"ping"}`, `{"type":"join","type":"ping"}`, `[`, ``, `null`,
		`{"type":"signal","to":"b","data":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseSignal(b)
		if err != nil {
			if core.KindOf(err) != core.Invalid {
				t.Fatalf("%q: %v is of kind %v", b, err, core.KindOf(err))
			}
			if m.ID != "" && !validID(m.ID) {
				t.Fatalf("%q: the answer would carry id %q", b, m.ID)
			}
			return
		}
		for _, name := range []string{m.ID, m.From, m.To, m.Room} {
			if name != "" && !validID(name) {
				t.Fatalf("%q: accepted name %q", b, name)
			}
		}
		if m.Peers != nil || m.Event != nil || m.Error != nil || (m.Type == SignalSend) != (m.To != "") || m.Data != nil && m.Type != SignalSend {
			t.Fatalf("%q: accepted %+v", b, m)
		}
	})
}
