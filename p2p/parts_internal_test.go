package p2p

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/rs/zerolog"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/keys"
)

func somePeer(seed byte) peer.ID {
	p, _ := peer.Decode(string(keys.FromSeed([32]byte{seed}).ID()))
	return p
}

func TestBansExpireAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGater(nil)
		p := somePeer(1)
		g.ban(p, Ban{ID: nodeID(p), Until: time.Now().Add(time.Minute), Reason: "lied"})
		if err := g.allowed(p); core.KindOf(err) != core.Denied {
			t.Fatalf("a banned peer is allowed: %v", err)
		}
		time.Sleep(time.Minute)
		if err := g.allowed(p); err != nil || len(g.list()) != 0 {
			t.Fatalf("a ban outlives its time: %v, %v", err, g.list())
		}
		for i := range maxBans + 1 {
			g.ban(peer.ID(fmt.Sprint(i)), Ban{Until: time.Now().Add(time.Duration(i+1) * time.Hour)})
		}
		if n := len(g.bans); n != maxBans {
			t.Errorf("%d bans are kept; the bound is %d", n, maxBans)
		}
		if _, there := g.banOf("0"); there {
			t.Error("the ban that ends first was kept over later ones")
		}
	})
}

// Where a node is told to start says what kind of network it joins.
func TestDHTModeFollowsTheNetwork(t *testing.T) {
	const id = "/p2p/12D3KooWMm1c4pzeLPGkkCJMAgFbsfQ8xmVDusg272icWsaNHWzN"
	for _, tc := range []struct {
		name      string
		bootstrap []string
		lan       bool
	}{
		{"private address", []string{"/ip4/10.0.0.5/tcp/9334" + id}, true},
		{"container name", []string{"/dns4/global-1/tcp/9334" + id}, true},
		{"local name", []string{"/dns4/printer.local/tcp/9334" + id}, true},
		{"public address", []string{"/ip4/5.6.7.8/tcp/9334" + id}, false},
		{"public name", []string{"/dns4/boot.example.org/tcp/9334" + id}, false},
		{"one of each", []string{"/ip4/10.0.0.5/tcp/9334" + id, "/ip4/5.6.7.8/tcp/9334" + id}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Config{Identity: keys.FromSeed([32]byte{1}), Network: "test", Bootstrap: tc.bootstrap, Listen: []string{"/ip4/0.0.0.0/tcp/0"}}
			r, err := c.resolve()
			if err != nil || r.lan != tc.lan {
				t.Errorf("lan = %v, %v; want %v", r != nil && r.lan, err, tc.lan)
			}
		})
	}
}

func TestOwnBootstrapAddressIsIgnored(t *testing.T) {
	id := keys.FromSeed([32]byte{1})
	r, err := Config{Identity: id, Network: "test", Listen: []string{}, Bootstrap: []string{"/ip4/10.0.0.5/tcp/9334/p2p/" + string(id.ID())}}.resolve()
	if err != nil || len(r.bootstrap) != 0 {
		t.Errorf("bootstrap = %v, %v; want none", r.bootstrap, err)
	}
}

// A record is its author's, for its key and network; the newest wins.
//
// spec 0.21
func TestValueRecords(t *testing.T) {
	author, other := keys.FromSeed([32]byte{1}), keys.FromSeed([32]byte{2})
	key := valueKey(author.ID(), "coord/us-east")
	v := validator{network: "test"}
	good := sealRecord(author, "test", key, 5, []byte("value"))
	flipped := bytes.Clone(good)
	flipped[9]++
	for _, tc := range []struct {
		name   string
		key    string
		record []byte
		valid  bool
	}{
		{"honest", key, good, true},
		{"empty value", key, sealRecord(author, "test", key, 5, nil), true},
		{"largest", key, sealRecord(author, "test", key, 5, make([]byte, MaxValue)), true},
		{"too large", key, sealRecord(author, "test", key, 5, make([]byte, MaxValue+1)), false},
		{"too short", key, good[:71], false},
		{"changed", key, flipped, false},
		{"signed by somebody else", key, sealRecord(other, "test", key, 5, []byte("value")), false},
		{"of another network", key, sealRecord(author, "prod", key, 5, []byte("value")), false},
		{"of another key", valueKey(author.ID(), "coord/eu-west"), good, false},
		{"key without author", "/tenzro/coord", good, false},
		{"key without name", "/tenzro/" + string(author.ID()) + "/", good, false},
		{"key of another namespace", "/pk/" + string(author.ID()), good, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := v.Validate(tc.key, tc.record); (err == nil) != tc.valid {
				t.Errorf("Validate: %v; want valid = %v", err, tc.valid)
			}
		})
	}
	older, newer := sealRecord(author, "test", key, 4, []byte("old")), sealRecord(author, "test", key, 6, nil)
	if i, err := v.Select(key, [][]byte{older, flipped, newer, good}); err != nil || i != 2 {
		t.Errorf("Select = %d, %v; want the newest valid one, 2", i, err)
	}
	if _, err := v.Select(key, [][]byte{flipped}); err == nil {
		t.Error("Select found a best among invalid records")
	}
}

func FuzzValueRecord(f *testing.F) {
	author := keys.FromSeed([32]byte{1})
	key := valueKey(author.ID(), "k")
	f.Add(key, sealRecord(author, "test", key, 1, []byte("v")))
	f.Fuzz(func(t *testing.T, key string, b []byte) {
		r, err := openRecord("test", key, b)
		if err == nil && len(r.value)+recordOverhead != len(b) {
			t.Fatalf("%d bytes hold a value of %d", len(b), len(r.value))
		}
	})
}

func TestStoreIsBounded(t *testing.T) {
	s, err := newStore(10)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for i := range 100 {
		if err := s.Put(ctx, ds.NewKey(fmt.Sprint("/a/", i)), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	res, err := s.Query(ctx, query.Query{Prefix: "/a"})
	if err != nil {
		t.Fatal(err)
	}
	all, err := res.Rest()
	if err != nil || len(all) != 10 {
		t.Errorf("%d entries are kept, %v; want 10", len(all), err)
	}
	if _, err := s.Get(ctx, ds.NewKey("/a/0")); err != ds.ErrNotFound {
		t.Errorf("Get of an evicted key: %v", err)
	}
}

// The file holds the 500 best peers, is replaced as a whole, and forged entries
// in it are left out.
func TestBookKeepsTheBestPeers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.json")
	b := newBook(path, newPeerstore(t), zerolog.Nop())
	rec, _ := testRecord(t, 1, "/ip4/10.0.0.1/tcp/9334")
	now := time.Now()
	var many []saved
	for i := range maxSaved + 50 {
		many = append(many, saved{ID: core.NodeID(fmt.Sprint(i)), LastSeen: now.Add(time.Duration(i) * time.Second), info: peer.AddrInfo{ID: peer.ID(fmt.Sprint(i))}})
	}
	honest := saved{ID: keys.FromSeed([32]byte{1}).ID(), Record: rec, LastSeen: now.Add(time.Hour), info: peer.AddrInfo{ID: somePeer(1)}}
	b.save(append(many, honest))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file bookFile
	if err := json.Unmarshal(data, &file); err != nil || len(file.Peers) != maxSaved || file.Peers[0].ID != honest.ID {
		t.Fatalf("%d peers in the file, %v; want %d, the last seen first", len(file.Peers), err, maxSaved)
	}
	good, err := parseBook(data)
	if err == nil || !strings.Contains(err.Error(), "damaged") || len(good) != 1 || good[0].info.Addrs[0].String() != "/ip4/10.0.0.1/tcp/9334" {
		t.Errorf("parseBook = %v, %v; want the one peer that proves itself", good, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 {
		t.Errorf("temporary files stay behind: %v", left)
	}
}

func newPeerstore(t *testing.T) peerstore.Peerstore {
	t.Helper()
	ps, err := pstoremem.NewPeerstore()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ps.Close() })
	return ps
}

func FuzzBook(f *testing.F) {
	rec, _ := testRecord(f, 1, "/ip4/10.0.0.1/tcp/9334")
	good, err := json.Marshal(bookFile{Version: bookVersion, Peers: []saved{{ID: keys.FromSeed([32]byte{1}).ID(), Record: rec}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _ := parseBook(b)
		for _, s := range list {
			if nodeID(s.info.ID) != s.ID {
				t.Fatalf("entry %s has a record of %s", s.ID, s.info.ID)
			}
		}
	})
}

// What is published is published again: soon at first, then at half its
// validity; what failed is retried, what was removed is not.
func TestPublicationsAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		h := &Host{log: zerolog.Nop()}
		h.watch = newWatch(h)
		table := &table{h: h, kick: make(chan struct{}, 1), publish: map[string]*publication{}}
		done := make(chan error)
		go func() { done <- table.republish(ctx) }()
		start := time.Now()
		var kept, dropped []time.Duration
		fail := true
		err := table.add(ctx, "kept", func(context.Context) error {
			kept = append(kept, time.Since(start))
			if fail {
				fail = false
				return core.Errorf(core.Timeout, "test", "first try")
			}
			return nil
		})
		if core.KindOf(err) != core.Unavailable {
			t.Errorf("add: %v; want unavailable", err)
		}
		if err := table.add(ctx, "dropped", func(context.Context) error { dropped = append(dropped, time.Since(start)); return nil }); err != nil {
			t.Error(err)
		}
		table.remove("dropped")
		time.Sleep(70 * time.Minute)
		cancel()
		<-done
		want := []time.Duration{0, 5 * time.Second, 20 * time.Second, 80 * time.Second, 380 * time.Second, 380*time.Second + 30*time.Minute, 380*time.Second + time.Hour}
		if fmt.Sprint(kept) != fmt.Sprint(want) || len(dropped) != 1 {
			t.Errorf("published at %v and %v; want %v and once", kept, dropped, want)
		}
	})
}

func TestPublicationsAreBounded(t *testing.T) {
	table := &table{h: &Host{}, kick: make(chan struct{}, 1), publish: map[string]*publication{}}
	var err error
	for i := 0; i <= maxPublished && err == nil; i++ {
		err = table.add(context.Background(), fmt.Sprint(i), func(context.Context) error { return nil })
	}
	if core.KindOf(err) != core.Exhausted {
		t.Errorf("publication %d: %v; want exhausted", maxPublished+1, err)
	}
}

// The limits by class hold on a small machine and grow with none.
func TestLimitsByClass(t *testing.T) {
	for class, want := range map[core.NodeType]struct{ conns, peerStreams int }{core.Regional: {6600, 64}, core.Global: {3000, 64}} {
		l := limitsOf(class)
		c := l.resourceLimits(1<<30, 900).ToPartialLimitConfig()
		if int(c.System.Conns) != want.conns || int(c.PeerDefault.Streams) != want.peerStreams || int(c.System.FD) != 900 {
			t.Errorf("%s: system %+v, peer %+v", class, c.System, c.PeerDefault)
		}
		if l.high >= l.conns {
			t.Errorf("%s: the connection manager's mark %d is not below the limit %d", class, l.high, l.conns)
		}
	}
}
