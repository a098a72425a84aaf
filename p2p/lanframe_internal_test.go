package p2p

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/tenzro/tenzro/keys"
)

var update = flag.Bool("update", false, "write golden files")

// testRecord is a signed peer record that is the same in every run.
func testRecord(t testing.TB, seed byte, addrs ...string) ([]byte, [keys.LANIDSize]byte) {
	t.Helper()
	id := keys.FromSeed([32]byte{seed})
	key, err := crypto.UnmarshalEd25519PrivateKey(id.PrivateKey())
	if err != nil {
		t.Fatal(err)
	}
	p, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	rec := &peer.PeerRecord{PeerID: p, Seq: 1}
	for _, a := range addrs {
		rec.Addrs = append(rec.Addrs, ma.StringCast(a))
	}
	env, err := record.Seal(rec, key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := env.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	lan, err := keys.LANID(id.ID())
	if err != nil {
		t.Fatal(err)
	}
	return signed, lan
}

// samples has one message of each type, as the spec page shows them.
func samples(t testing.TB) []lanMessage {
	own, node := testRecord(t, 1, "/ip4/192.168.1.10/tcp/9334", "/ip4/192.168.1.10/udp/9334/quic-v1")
	other, _ := testRecord(t, 2, "/ip4/192.168.1.11/tcp/9334")
	base := lanMessage{Node: node, Network: networkTag("testnet"), Time: 1_795_000_000_000, Token: [lanToken]byte{1, 2, 3}}
	ping, pong, peers, ack, hello := base, base, base, base, base
	ping.Type, ping.Records = lanPing, [][]byte{own}
	pong.Type, pong.Records, pong.Words, pong.Cookie = lanPong, [][]byte{own}, []string{"compute", "store"}, [lanToken]byte{9}
	peers.Type, peers.Want = lanPeers, maxShared
	ack.Type, ack.Records = lanPeersAck, [][]byte{other, own}
	hello.Type, hello.Records, hello.Words, hello.Answer = lanHello, [][]byte{own}, []string{"compute"}, true
	return []lanMessage{ping, pong, peers, ack, hello}
}

// The bytes on the wire: type, big-endian length, 20-byte node id, payload. A
// change of a golden file is a change of the protocol and of its spec page.
//
// spec 4.14 4.20
func TestLANFramesAreGolden(t *testing.T) {
	for _, m := range samples(t) {
		t.Run(m.Type.String(), func(t *testing.T) {
			b := m.encode()
			file := filepath.Join("testdata", "lan", m.Type.String()+".hex")
			if *update {
				if err := os.WriteFile(file, []byte(hexLines(b)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || string(want) != hexLines(b) {
				t.Fatalf("frame is\n%s(%v), golden is\n%s", hexLines(b), err, want)
			}
			got, err := decodeLAN(b)
			if err != nil || fmt.Sprint(got) != fmt.Sprint(m) {
				t.Fatalf("decoded %+v, %v; want %+v", got, err, m)
			}
			if b[0] != byte(m.Type) || int(b[1])<<8|int(b[2]) != len(b)-23 || !bytes.Equal(b[3:23], m.Node[:]) {
				t.Errorf("header is % x", b[:23])
			}
		})
	}
}

func hexLines(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		n := min(32, len(b))
		out.WriteString(hex.EncodeToString(b[:n]) + "\n")
		b = b[n:]
	}
	return out.String()
}

// The answer to a PING is never longer than the PING, so that nobody's address
// is worth forging.
func TestPongIsNoLongerThanPing(t *testing.T) {
	all := samples(t)
	if ping, pong := len(all[0].encode()), len(all[1].encode()); ping != lanPingSize || pong > ping {
		t.Errorf("PING has %d bytes, PONG %d", ping, pong)
	}
}

func TestMalformedLANFrames(t *testing.T) {
	all := samples(t)
	edit := func(i int, fn func(b []byte) []byte) []byte { return fn(bytes.Clone(all[i].encode())) }
	for _, tc := range []struct {
		name string
		b    []byte
	}{
		{"empty", nil},
		{"header alone", make([]byte, lanHeader)},
		{"unknown type", edit(0, func(b []byte) []byte { b[0] = 6; return b })},
		{"type zero", edit(0, func(b []byte) []byte { b[0] = 0; return b })},
		{"length too small", edit(0, func(b []byte) []byte { b[2]--; return b })},
		{"a byte too many", edit(1, func(b []byte) []byte { return append(b, 0) })},
		{"a byte missing", edit(1, func(b []byte) []byte { return b[:len(b)-1] })},
		{"padding is not zero", edit(0, func(b []byte) []byte { b[len(b)-1] = 1; return b })},
		{"short PING", edit(0, func(b []byte) []byte { b = b[:lanPingSize-1]; b[2]--; return b })},
		{"nine words", edit(4, func(b []byte) []byte { b[lanHeader+lanPreface+1] = 9; return b })},
		{"word in upper case", edit(4, func(b []byte) []byte { b[lanHeader+lanPreface+3] = 'C'; return b })},
		{"flag is two", edit(4, func(b []byte) []byte { b[lanHeader+lanPreface] = 2; return b })},
		{"nine records", edit(3, func(b []byte) []byte { b[lanHeader+lanPreface] = 9; return b })},
		{"longer than a datagram", make([]byte, lanMaxFrame+1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if m, err := decodeLAN(tc.b); err == nil {
				t.Fatalf("accepted as %+v", m)
			}
		})
	}
}

// Whatever decodes encodes to the same bytes.
func FuzzLANFrame(f *testing.F) {
	for _, m := range samples(f) {
		f.Add(m.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeLAN(b)
		if err != nil {
			return
		}
		if again := m.encode(); !bytes.Equal(again, b) {
			t.Fatalf("% x decodes and encodes to % x", b, again)
		}
	})
}
