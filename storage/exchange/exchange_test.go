package exchange

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/p2p"
	"github.com/tenzro/tenzro/storage"
	"github.com/tenzro/tenzro/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeNet is nodes of one process that open streams to each other.
type fakeNet struct {
	mu        sync.Mutex
	serve     map[core.NodeID]func(p2p.Stream)
	near      []core.NodeID
	providers map[string][]core.NodeID
	asked     int
	blamed    []core.NodeID
}

var _ Network = (*fakeNet)(nil)

func (n *fakeNet) OpenStream(_ context.Context, id core.NodeID, protocol string) (p2p.Stream, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	serve := n.serve[id]
	if serve == nil || protocol != "/tenzro/testnet/object/1.0.0" {
		return nil, core.Errorf(core.Unavailable, "open stream", "node %s is not reachable", id)
	}
	here, there := net.Pipe()
	go serve(stream{there})
	return stream{here}, nil
}

func (n *fakeNet) Near() []core.NodeID { return n.near }

func (n *fakeNet) FindProviders(_ context.Context, key string, _ int) ([]core.NodeID, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.providers[key], nil
}

func (n *fakeNet) Provide(_ context.Context, key string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.providers[key] = []core.NodeID{"me"}
	return nil
}

func (n *fakeNet) Unprovide(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.providers, key)
}

type stream struct{ net.Conn }

func (s stream) CloseWrite() error { return nil }
func (s stream) Reset() error      { return s.Close() }

// rig is one node under test among others.
type rig struct {
	net   *fakeNet
	local *storagetest.Memory
	*Store
}

func newRig() *rig {
	r := &rig{net: &fakeNet{serve: map[core.NodeID]func(p2p.Stream){}, providers: map[string][]core.NodeID{}}, local: &storagetest.Memory{}}
	r.Store = New(Deps{Local: r.local, Network: r.net, NetworkID: "testnet", Blame: func(peer core.NodeID, _ p2p.Offence, _ int) {
		r.net.mu.Lock()
		defer r.net.mu.Unlock()
		r.net.blamed = append(r.net.blamed, peer)
	}}, zerolog.Nop())
	return r
}

// holder adds a connected node that has these objects.
func (r *rig) holder(id core.NodeID, contents ...string) {
	store := &storagetest.Memory{}
	for _, c := range contents {
		_, _, _ = store.Put(context.Background(), strings.NewReader(c)) // in memory it cannot fail
	}
	other := New(Deps{Local: store, Network: r.net, NetworkID: "testnet"}, zerolog.Nop())
	r.net.serve[id] = func(s p2p.Stream) { other.ServeStream(context.Background(), "me", s) }
	r.net.near = append(r.net.near, id)
}

// liar adds a connected node that answers with these bytes, whatever it is asked.
func (r *rig) liar(id core.NodeID, answer []byte) {
	r.net.serve[id] = func(s p2p.Stream) {
		defer s.Close()
		var ask [32]byte
		if _, err := io.ReadFull(s, ask[:]); err == nil {
			_, _ = s.Write(answer)
		}
	}
	r.net.near = append(r.net.near, id)
}

// answer is what a node writes for an object.
func answer(size uint64, data string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{found}, size), data...)
}

func (r *rig) get(content string) (string, error) {
	_, data, err := r.Get(context.Background(), core.ObjectOf([]byte(content)))
	return string(data), err
}

// TestSuite: alone in the world it is a store like any other.
func TestSuite(t *testing.T) {
	storagetest.Suite(t, func(t *testing.T) storage.Store { return newRig() })
}

// TestFetch: an object that another node has is fetched, whoever else is asked, and
// kept: the next time nobody is asked.
func TestFetch(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "small": "x", "large": strings.Repeat("0123456789", storage.MaxObjectBytes/10)} {
		t.Run(name, func(t *testing.T) {
			r := newRig()
			r.net.near = []core.NodeID{"gone"}
			r.holder("other", "another object")
			r.holder("has it", content)
			if got, err := r.get(content); got != content || err != nil {
				t.Fatalf("got %d bytes, %v", len(got), err)
			}
			asked := r.net.asked
			if got, err := r.get(content); got != content || err != nil || r.net.asked != asked {
				t.Errorf("again: %d bytes, %v, %d asked", len(got), err, r.net.asked-asked)
			}
		})
	}
}

// TestProvider: a node that only the DHT names is asked too.
func TestProvider(t *testing.T) {
	r := newRig()
	r.holder("far", "x")
	r.net.near = nil
	r.net.providers["object/"+core.ObjectOf([]byte("x")).String()] = []core.NodeID{"far"}
	if got, err := r.get("x"); got != "x" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// broken is a store whose objects are all damaged and that keeps nothing.
type broken struct{ *storagetest.Memory }

func (broken) Get(context.Context, core.ObjectID) (storage.Info, []byte, error) {
	return storage.Info{}, nil, core.Errorf(core.Corrupt, "object", "damaged here")
}

func (broken) Keep(context.Context, core.ObjectID, []byte) error {
	return core.Errorf(core.Full, "object", "no room here")
}

// TestBrokenHere: what is damaged here, and cannot be kept, is still had from another
// node; if there is none, the damage is what is told.
func TestBrokenHere(t *testing.T) {
	r := newRig()
	r.Store.deps.Local = broken{r.local}
	if _, err := r.get("x"); core.KindOf(err) != core.Corrupt {
		t.Errorf("with nobody to ask: %v", err)
	}
	r.holder("has it", "x")
	if got, err := r.get("x"); got != "x" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestNowhere: what nobody has is not found, with the thing to do.
func TestNowhere(t *testing.T) {
	r := newRig()
	r.holder("other", "another object")
	_, err := r.get("x")
	var e *core.Error
	if !errors.As(err, &e) || e.Kind != core.NotFound || !strings.Contains(e.Hint, "tenzro object put") || !strings.Contains(err.Error(), "the 1 that were asked") {
		t.Errorf("error %v", err)
	}
}

// TestLiars: bytes that are not the object's are never handed out or kept, and who
// sent them is blamed; another node still gives the object.
func TestLiars(t *testing.T) {
	for name, c := range map[string]struct {
		answer []byte
		blamed bool
	}{
		"other bytes":       {answer(1, "y"), true},
		"too much":          {answer(storage.MaxObjectBytes+1, "x"), true},
		"a huge size":       {answer(1<<63, "x"), true},
		"cut off":           {answer(5, "x"), false},
		"no such answer":    {append([]byte{2}, answer(1, "x")[1:]...), false},
		"half an answer":    {answer(1, "x")[:4], false},
		"nothing":           {nil, false},
		"more than it says": {answer(1, "xy"), false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig()
			r.liar("liar", c.answer)
			got, err := r.get("x")
			if whole := name == "more than it says"; whole && got != "x" || !whole && (got != "" || core.KindOf(err) != core.NotFound) {
				t.Errorf("got %q, %v", got, err)
			}
			if (len(r.net.blamed) > 0) != c.blamed {
				t.Errorf("blamed: %v", r.net.blamed)
			}
			r.holder("honest", "x")
			if got, err := r.get("x"); got != "x" || err != nil {
				t.Errorf("with an honest node: %q, %v", got, err)
			}
		})
	}
}

// TestSilent: nodes that never answer cost a bounded time, and the object is found
// behind them.
func TestSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		for i := range 2 * askAtOnce {
			id := core.NodeID("silent" + string(rune('a'+i)))
			r.net.serve[id] = func(s p2p.Stream) { _, _ = io.Copy(io.Discard, s); _ = s.Close() }
			r.net.near = append(r.net.near, id)
		}
		r.holder("has it", "x")
		begun := time.Now()
		if got, err := r.get("x"); got != "x" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if took := time.Since(begun); took > 2*answerTimeout {
			t.Errorf("it took %s", took)
		}
		begun = time.Now()
		if _, err := r.get("y"); core.KindOf(err) != core.NotFound || time.Since(begun) > fetchTimeout {
			t.Errorf("what nobody has: %v after %s", err, time.Since(begun))
		}
		synctest.Wait()
	})
}

// TestOnce: many who want the same object at once cause one fetch, and one who gives
// up does not end it for the others.
func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		r.net.serve["slow"] = func(s p2p.Stream) {
			defer s.Close()
			var ask [32]byte
			_, _ = io.ReadFull(s, ask[:])
			time.Sleep(time.Second)
			_, _ = s.Write(answer(1, "x"))
		}
		r.net.near = []core.NodeID{"slow"}
		impatient, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if _, _, err := r.Get(impatient, core.ObjectOf([]byte("x"))); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who gave up got %v", err)
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if got, err := r.get("x"); got != "x" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		wg.Wait()
		if r.net.asked != 1 {
			t.Errorf("%d were asked, want 1", r.net.asked)
		}
	})
}

// TestAnnounced: the DHT is told of the objects used last at this node, of copies
// never, and of what was removed no more.
func TestAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- r.Serve(ctx) }()
		put := func(content string) core.ObjectID {
			info, _, err := r.Put(ctx, strings.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			return info.ID
		}
		told := func() (keys []string) {
			synctest.Wait()
			r.net.mu.Lock()
			defer r.net.mu.Unlock()
			for key := range r.net.providers {
				keys = append(keys, key)
			}
			slices.Sort(keys)
			return keys
		}
		a, b := put("a"), put("b")
		if got := told(); len(got) != 2 || !slices.Contains(got, "object/"+a.String()) {
			t.Errorf("told %v", got)
		}
		if err := r.Delete(ctx, a); err != nil {
			t.Fatal(err)
		}
		if got := told(); !slices.Equal(got, []string{"object/" + b.String()}) {
			t.Errorf("told %v, want the one that is left", got)
		}
		for i := range maxAnnounced + 10 {
			time.Sleep(time.Millisecond)
			put(fmt.Sprint("object ", i))
		}
		if got := told(); len(got) != maxAnnounced || slices.Contains(got, "object/"+b.String()) {
			t.Errorf("%d are told", len(got))
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v", err)
		}
		if got := told(); len(got) > 0 {
			t.Errorf("%d are still told", len(got))
		}
	})
}

// TestSpecExample: the bytes of docs/spec/objects.md.
func TestSpecExample(t *testing.T) {
	const request, want = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", "01000000000000000568656c6c6f"
	page, err := os.ReadFile("../../docs/spec/objects.md")
	if err != nil || !strings.Contains(string(page), request+"\n01 0000000000000005 68656c6c6f\n") {
		t.Errorf("the page has another example, %v", err)
	}
	r := newRig()
	r.holder("has it", "hello")
	s, err := r.net.OpenStream(context.Background(), "has it", r.protocol)
	if err != nil {
		t.Fatal(err)
	}
	ask, _ := hex.DecodeString(request)
	if _, err := s.Write(ask); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(s); hex.EncodeToString(got) != want || err != nil {
		t.Errorf("the answer is %x, %v, want %s", got, err, want)
	}
}

// FuzzAnswer: whatever a node answers, what comes out is the object or nothing.
func FuzzAnswer(f *testing.F) {
	f.Add(answer(1, "x"))
	f.Add(answer(1<<40, "x"))
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := newRig()
		r.liar("liar", raw)
		got, err := r.get("x")
		if whole := bytes.HasPrefix(raw, answer(1, "x")); whole != (err == nil) || whole && got != "x" || !whole && got != "" {
			t.Errorf("%x gives %q, %v", raw, got, err)
		}
	})
}

// FuzzAsk: whatever is asked, only an object that is there is answered.
func FuzzAsk(f *testing.F) {
	id := core.ObjectOf([]byte("x"))
	f.Add(id[:])
	f.Add([]byte("too short"))
	f.Fuzz(func(t *testing.T, ask []byte) {
		r := newRig()
		r.holder("has it", "x")
		s, err := r.net.OpenStream(context.Background(), "has it", r.protocol)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = s.Write(ask[:min(len(ask), 32)]) }()
		if len(ask) < 32 {
			_ = s.SetReadDeadline(time.Now())
		}
		got, _ := io.ReadAll(s)
		_ = s.Close()
		if there := len(ask) >= 32 && bytes.Equal(ask[:32], id[:]); there != (len(got) > 0) || there && !bytes.Equal(got, answer(1, "x")) {
			t.Errorf("%x is answered with %x", ask, got)
		}
	})
}
