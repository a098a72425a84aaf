package wire

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with the file, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s changed:\n got %s\nwant %s", path, got, want)
	}
}

// Every message has one encoding, fixed in a file, that decodes to the message
// it came from and encodes to the same bytes again.
//
// spec 0.23 2.23 4.22
func TestGoldenBodies(t *testing.T) {
	for _, typ := range Types() {
		t.Run(string(typ), func(t *testing.T) {
			m := sample(typ)
			body, err := appendBody(nil, m, MaxBody)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "good/"+string(typ)+".json", body)
			back := decodeBody(t, typ, body)
			if !reflect.DeepEqual(back, m) {
				t.Errorf("decoded %+v, want %+v", back, m)
			}
			again, err := appendBody(nil, back, MaxBody)
			if err != nil || !bytes.Equal(again, body) {
				t.Errorf("encoded again: %s, %v", again, err)
			}
		})
	}
}

// frameOf puts a body, as it is, into a frame.
func frameOf(t Type, body string) []byte {
	return []byte(frameOpen + itemOpen + string(t) + itemBody + body + itemClose + frameClose)
}

func decodeBody(t *testing.T, typ Type, body []byte) Body {
	t.Helper()
	batch, err := DecodeBatch(frameOf(typ, string(body)))
	if err != nil || len(batch.Bodies) != 1 || batch.Unknown != 0 {
		t.Fatalf("decode: %+v, %v", batch, err)
	}
	return batch.Bodies[0]
}

// sealSample seals with fixed randomness.
func sealSample(b Body) []byte {
	var random [24]byte
	for i := range random {
		random[i] = byte(i)
	}
	raw, err := seal(node(1), testNet, testNow(), b, random)
	if err != nil {
		panic(err)
	}
	return raw
}

// spec 0.23
func TestGoldenCarriers(t *testing.T) {
	frame, n, err := AppendBatch(nil, sample(TypePull), sample(TypeJobAccept), sample(TypeLeaseRenew))
	if err != nil || n != 3 {
		t.Fatal(n, err)
	}
	golden(t, "good/_frame.json", frame)
	golden(t, "good/_envelope.json", sealSample(sample(TypeSummary)))
}

// The specification shows every golden message and has a row for every field.
func TestSpecificationIsComplete(t *testing.T) {
	page, err := os.ReadFile("../docs/spec/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/good/*.json")
	if err != nil || len(files) != len(Types())+2 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(page, text) {
			t.Errorf("the page does not show %s", f)
		}
	}
	for _, typ := range Types() {
		_, section, found := strings.Cut(string(page), "\n### `"+string(typ)+"`")
		section, _, _ = strings.Cut(section, "\n### ")
		if !found {
			t.Errorf("the page has no section for %s", typ)
		}
		if size := fmt.Sprintf(" At most %d KiB. ", Limit(typ)>>10); !strings.Contains(section, size) {
			t.Errorf("section %s does not say %q", typ, size)
		}
		for _, f := range registry[typ].shape.fields {
			if !strings.Contains(section, "\n| `"+f.name+"` |") {
				t.Errorf("section %s has no row for %s", typ, f.name)
			}
		}
	}
}

// The codec of this package writes what encoding/json writes.
func TestEncodingIsPlainJSON(t *testing.T) {
	for _, typ := range Types() {
		want, err := json.Marshal(sample(typ))
		if err != nil {
			t.Fatal(err)
		}
		got, err := appendBody(nil, sample(typ), MaxBody)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %s, %v; want %s", typ, got, err, want)
		}
	}
}
