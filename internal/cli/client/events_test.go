package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// TestFollow: a stream that breaks off is taken up behind the last event; it ends
// with the task, with a 204, with the caller's own error, or with the node's.
func TestFollow(t *testing.T) {
	event := func(id int, name core.EventName) string {
		return fmt.Sprintf("id: %d\nevent: %s\ndata: {\"id\":\"%d\",\"event\":%q,\"taskId\":\"a\"}\n\n", id, name, id, name)
	}
	stopped := errors.New("enough")
	tests := []struct {
		name  string
		parts map[string]string // answer by Last-Event-ID; none is 204
		fail  uint64            // the event that the caller fails at
		want  []uint64
		err   error
	}{
		{"to the end", map[string]string{"": "retry: 1\n\n" + event(1, "received") + event(2, "completed") + event(3, "received")}, 0, []uint64{1, 2}, nil},
		{"in two parts", map[string]string{"": event(1, "received"), "1": ": keep-alive\n\n" + event(2, "failed")}, 0, []uint64{1, 2}, nil},
		{"nothing more to come", map[string]string{"": event(1, "received")}, 0, []uint64{1}, nil},
		{"the caller has enough", map[string]string{"": event(1, "received") + event(2, "completed")}, 1, []uint64{1}, stopped},
		{"no event", map[string]string{"": "data: nonsense\n\n"}, 0, nil, core.Corrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				text, known := tt.parts[r.Header.Get("Last-Event-ID")]
				if !known {
					w.WriteHeader(http.StatusNoContent)
					return
				}
				_, _ = w.Write([]byte(text))
			}))
			defer server.Close()
			c, err := New(server.URL, "")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			var got []uint64
			err = c.Follow(t.Context(), "a", 0, func(e core.TaskEvent, _ json.RawMessage) error {
				if got = append(got, e.ID); e.ID == tt.fail {
					return stopped
				}
				return nil
			})
			if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
				t.Errorf("events %v, error %v", got, err)
			}
		})
	}
	c, err := New("127.0.0.1:1", "")
	if err != nil {
		t.Fatal(err)
	}
	err = c.Follow(t.Context(), "a", 0, func(core.TaskEvent, json.RawMessage) error { return nil })
	if !errors.Is(err, core.Unavailable) {
		t.Errorf("nobody there: %v", err)
	}
}
