package keys

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"

	"github.com/tenzro/tenzro/core"
)

// vector is one line of testdata/vectors.json: what another implementation must
// get from the same seed.
type vector struct {
	Seed      string   `json:"seed"`
	NodeID    string   `json:"nodeId"`
	LANID     string   `json:"lanId"`
	Domain    Domain   `json:"domain"`
	Parts     []string `json:"parts"` // hex
	Signature string   `json:"signature"`
}

func seed(n byte) (s [32]byte) {
	for i := range s {
		s[i] = n + byte(i)
	}
	return s
}

// spec 0.40 2.12 4.20
func TestVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []vector
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	var got []vector
	for _, v := range want {
		raw, err := hex.DecodeString(v.Seed)
		if err != nil {
			t.Fatal(err)
		}
		id := FromSeed([32]byte(raw))
		var parts [][]byte
		for _, p := range v.Parts {
			b, err := hex.DecodeString(p)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, b)
		}
		lan, err := LANID(id.ID())
		if err != nil {
			t.Fatal(err)
		}
		sig := id.Sign(v.Domain, parts...)
		if err := Verify(id.ID(), v.Domain, sig, parts...); err != nil {
			t.Error(err)
		}
		got = append(got, vector{v.Seed, string(id.ID()), hex.EncodeToString(lan[:]), v.Domain, v.Parts, hex.EncodeToString(sig)})
	}
	out, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if len(want) < 4 || !bytes.Equal(append(out, '\n'), data) {
		t.Errorf("vectors changed; got\n%s", out)
	}
}

// The name is the one libp2p gives the same key, in both directions.
//
// spec 2.12
func TestNodeIDIsTheLibp2pPeerID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s [32]byte
		copy(s[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		id := FromSeed(s)
		private, err := crypto.UnmarshalEd25519PrivateKey(id.PrivateKey())
		if err != nil {
			t.Fatal(err)
		}
		want, err := peer.IDFromPublicKey(private.GetPublic())
		if err != nil {
			t.Fatal(err)
		}
		if want.String() != string(id.ID()) {
			t.Fatalf("id %s, libp2p says %s", id.ID(), want)
		}
		pub, err := PublicKey(id.ID())
		if err != nil {
			t.Fatal(err)
		}
		if raw, _ := private.GetPublic().Raw(); !bytes.Equal(raw, pub) {
			t.Fatalf("key %x, libp2p says %x", pub, raw)
		}
	})
}

func TestPublicKeyRefuses(t *testing.T) {
	good := string(FromSeed(seed(1)).ID())
	_, secp, err := crypto.GenerateSecp256k1Key(bytes.NewReader(bytes.Repeat([]byte{7}, 1000)))
	if err != nil {
		t.Fatal(err)
	}
	other, err := peer.IDFromPublicKey(secp)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":             "",
		"one short":         good[:len(good)-1],
		"one long":          good + "1",
		"leading zero":      "1" + good,
		"not base58":        good[:51] + "0",
		"white space":       good[:51] + " ",
		"high bit":          good[:50] + "é",
		"another key type":  other.String(),
		"all ones":          strings.Repeat("1", idTextLen),
		"largest number":    strings.Repeat("z", idTextLen),
		"huge":              strings.Repeat("z", 1<<20),
		"zero instead of 1": "2" + good[1:],
		"CIDv1 form":        "bafzaajaiaejcb" + strings.Repeat("a", 38),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := PublicKey(core.NodeID(text)); !errors.Is(err, core.Invalid) || len(err.Error()) > 300 {
				t.Errorf("PublicKey = %v, want a short invalid error", err)
			}
			if _, err := LANID(core.NodeID(text)); !errors.Is(err, core.Invalid) {
				t.Errorf("LANID = %v, want invalid", err)
			}
			if err := Verify(core.NodeID(text), DomainAd, make([]byte, 64)); !errors.Is(err, core.Denied) || core.KindOf(err) != core.Denied {
				t.Errorf("Verify = %v, want denied", err)
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	id, other := FromSeed(seed(1)), FromSeed(seed(2))
	parts := [][]byte{[]byte("ab"), []byte("c"), {}}
	sig := id.Sign(DomainAd, parts...)
	if err := Verify(id.ID(), DomainAd, sig, parts...); err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(sig)
	flipped[10] ^= 1
	for name, c := range map[string]struct {
		id    core.NodeID
		d     Domain
		sig   []byte
		parts [][]byte
	}{
		"another node":            {other.ID(), DomainAd, sig, parts},
		"another domain":          {id.ID(), DomainProof, sig, parts},
		"a bit flipped":           {id.ID(), DomainAd, flipped, parts},
		"short signature":         {id.ID(), DomainAd, sig[:63], parts},
		"long signature":          {id.ID(), DomainAd, append(bytes.Clone(sig), 0), parts},
		"no signature":            {id.ID(), DomainAd, nil, parts},
		"byte moved between":      {id.ID(), DomainAd, sig, [][]byte{[]byte("a"), []byte("bc"), {}}},
		"parts joined":            {id.ID(), DomainAd, sig, [][]byte{[]byte("abc")}},
		"empty part dropped":      {id.ID(), DomainAd, sig, parts[:2]},
		"empty part added":        {id.ID(), DomainAd, sig, append(parts[:3:3], nil)},
		"parts swapped":           {id.ID(), DomainAd, sig, [][]byte{parts[1], parts[0], {}}},
		"domain eats first part":  {id.ID(), DomainAd + "ab", sig, parts[1:]},
		"domain becomes a part":   {id.ID(), "", sig, append([][]byte{[]byte(DomainAd)}, parts...)},
		"all zero signature":      {id.ID(), DomainAd, make([]byte, 64), parts},
		"scalar above the order":  {id.ID(), DomainAd, append(bytes.Clone(sig[:32]), bytes.Repeat([]byte{0xff}, 32)...), parts},
		"signature of the length": {id.ID(), DomainAd, id.Sign(DomainAd), parts},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Verify(c.id, c.d, c.sig, c.parts...); !errors.Is(err, core.Denied) {
				t.Errorf("Verify = %v, want denied", err)
			}
		})
	}
}

func TestMessageIsUnambiguous(t *testing.T) {
	draw := rapid.SliceOfN(rapid.SliceOfN(rapid.ByteRange(0, 1), 0, 9), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		same := len(a) == len(b)
		for i := 0; same && i < len(a); i++ {
			same = bytes.Equal(a[i], b[i])
		}
		if bytes.Equal(message(DomainAd, a), message(DomainAd, b)) != same {
			t.Fatalf("%x and %x", a, b)
		}
	})
}

func TestIdentityDoesNotPrintItsKey(t *testing.T) {
	id := FromSeed(seed(1))
	key := id.PrivateKey()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X"} {
		out := fmt.Sprintf(verb, id)
		for _, secret := range []string{hex.EncodeToString(key[:8]), fmt.Sprint(key[:4])[1:9], string(key[:8])} {
			if strings.Contains(strings.ToLower(out), secret) {
				t.Errorf("%s prints the key: %s", verb, out)
			}
		}
	}
	if out, _ := json.Marshal(id); string(out) != "{}" {
		t.Errorf("JSON %s", out)
	}
	key[0] ^= 1
	if bytes.Equal(key, id.PrivateKey()) {
		t.Error("PrivateKey gives away the identity's own memory")
	}
}

func FuzzPublicKey(f *testing.F) {
	good := string(FromSeed(seed(1)).ID())
	for _, s := range []string{good, good[:51], "", "1" + good[:51], strings.Repeat("1", idTextLen), strings.Repeat("z", idTextLen)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pub, err := PublicKey(core.NodeID(text))
		if err != nil {
			if !errors.Is(err, core.Invalid) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if string(NodeID(pub)) != text {
			t.Fatalf("%q has a second name %s", text, NodeID(pub))
		}
		if id, err := peer.Decode(text); err != nil || id.String() != text {
			t.Fatalf("libp2p reads %q as %s, %v", text, id, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	id := FromSeed(seed(1))
	part := make([]byte, 1024)
	sig := id.Sign(DomainProof, part)
	b.ReportAllocs()
	for b.Loop() {
		if err := Verify(id.ID(), DomainProof, sig, part); err != nil {
			b.Fatal(err)
		}
	}
}
