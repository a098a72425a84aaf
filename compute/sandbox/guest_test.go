package sandbox

import (
	"errors"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// TestStillborn: a node that stops while a child greets is no bug and no failure of
// the job; a child that dies by itself then is one.
func TestStillborn(t *testing.T) {
	for name, c := range map[string]struct {
		end  ending
		want core.Kind
	}{
		"the node stops":   {ending{Cancelled, "the node is stopping"}, core.Unavailable},
		"it dies":          {ending{Crash, "exit status 3"}, core.Internal},
		"it has no memory": {ending{MemoryLimit, "the child ran out of memory"}, core.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			g := &guest{hello: make(chan greeting, 1), gone: make(chan struct{}), end: c.end}
			close(g.gone)
			if _, err := g.greeted(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}
