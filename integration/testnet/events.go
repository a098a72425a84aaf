package testnet

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenzro/tenzro/internal/event"
)

// Events is an open stream of server-sent events.
type Events struct {
	t testing.TB
	c chan event.Event
}

// Events follows these events of a node from now on until the test ends.
func (a API) Events(names ...string) *Events {
	a.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Base+"/api/v1/events?names="+strings.Join(names, ","), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		a.t.Fatalf("the event stream answers %d", resp.StatusCode)
	}
	e := &Events{t: a.t, c: make(chan event.Event, 1024)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer resp.Body.Close()
		e.read(bufio.NewScanner(resp.Body))
	}()
	a.t.Cleanup(func() { cancel(); <-done })
	return e
}

func (e *Events) read(lines *bufio.Scanner) {
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		var one event.Event
		if ok && json.Unmarshal([]byte(data), &one) == nil && one.Name != "" {
			select {
			case e.c <- one:
			default: // the test does not want so many
			}
		}
	}
}

// Next returns the next event.
func (e *Events) Next(within time.Duration) event.Event {
	e.t.Helper()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case one := <-e.c:
		return one
	case <-timer.C:
		e.t.Fatalf("no event came within %s", within)
		return event.Event{}
	}
}
