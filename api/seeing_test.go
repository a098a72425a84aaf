package api_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenzro/tenzro/core"
)

// grow adds events and wakes who waits for them.
func (n *network) grow(ended bool, events ...core.TaskEvent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events, n.ended = append(n.events, events...), ended
	close(n.grew)
	n.grew = make(chan struct{})
}

// TestTaskEventStream: what happens to a task reaches whoever listens, with its
// number; a quiet stream is kept alive; one that comes back goes on behind what it
// saw; the stream ends with the task.
//
// spec 2.66
func TestTaskEventStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.grew = make(chan struct{})
		n.events = []core.TaskEvent{{ID: 3, Event: core.EventReceived, TaskID: "abc123"}, {ID: 5, Event: core.EventCommitted, TaskID: "abc123"}}
		s := newServer(t, n, nil)
		first, again := &watcher{}, &watcher{}
		stop := watch(s, first, "/api/v1/tasks/abc123/events")
		defer stop()
		want := "retry: 2000\n\nid: 3\nevent: received\ndata: {\"id\":\"3\",\"event\":\"received\",\"taskId\":\"abc123\"}\n\n" +
			"id: 5\nevent: committed\ndata: {\"id\":\"5\",\"event\":\"committed\",\"taskId\":\"abc123\"}\n\n"
		if got := first.read(); got != want || first.status != 200 || first.header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("status %d, got %q", first.status, got)
		}
		stopAgain := watch(s, again, "/api/v1/tasks/abc123/events", "Last-Event-ID: 3")
		defer stopAgain()
		if got := again.read(); !strings.HasPrefix(got, "retry: 2000\n\nid: 5\n") || strings.Contains(got, "id: 3\n") {
			t.Errorf("come back, got %q", got)
		}
		time.Sleep(20 * time.Second)
		if got := first.read(); got != ": keep-alive\n\n" {
			t.Errorf("in silence %q", got)
		}
		again.read()
		n.grow(true, core.TaskEvent{ID: 9, Event: core.EventCompleted, TaskID: "abc123"})
		for _, w := range []*watcher{first, again} {
			if got := w.read(); got != "id: 9\nevent: completed\ndata: {\"id\":\"9\",\"event\":\"completed\",\"taskId\":\"abc123\"}\n\n" {
				t.Errorf("at the end %q", got)
			}
		}
	})
}
