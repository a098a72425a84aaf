package exchange

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/p2p/p2ptest"
	"github.com/tenzro/tenzro/storage"
	"github.com/tenzro/tenzro/storage/storagetest"
)

// strangers are hosts that take nobody for near: only the DHT leads to a holder.
type strangers struct{ *p2p.Host }

func (strangers) Near() []core.NodeID { return nil }

// TestThroughTheDHT: over a real network, what is put at one host is found by another
// that only the DHT leads there, the largest object too.
func TestThroughTheDHT(t *testing.T) {
	hosts := p2ptest.Loopback(t, 3)
	stores := make([]*Store, len(hosts))
	for i, h := range hosts {
		stores[i] = New(Deps{Local: &storagetest.Memory{}, Network: strangers{h}, NetworkID: p2ptest.NetworkID, Blame: h.Offended}, zerolog.Nop())
		h.HandleStream(Protocol(p2ptest.NetworkID), stores[i].ServeStream)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- stores[i].Serve(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Serve = %v", err)
			}
		})
	}
	for name, content := range map[string]string{"small": "hello", "largest": strings.Repeat("x", storage.MaxObjectBytes)} {
		info, _, err := stores[1].Put(t.Context(), strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		for patience := time.After(time.Minute); ; {
			_, data, err := stores[2].Get(t.Context(), info.ID)
			if err == nil {
				if string(data) != content {
					t.Errorf("%s: %d bytes came", name, len(data))
				}
				break
			}
			if core.KindOf(err) != core.NotFound {
				t.Fatalf("%s: %v", name, err)
			}
			select {
			case <-time.After(50 * time.Millisecond): // hosts meet and records spread
			case <-patience:
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}
