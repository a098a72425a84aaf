package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/tenzro/tenzro/core"
)

// The roots over the first leaves of the list that Certificate Transparency tests its
// trees with (transparency-dev/merkle, testonly/constants.go).
func TestRootsOfCertificateTransparency(t *testing.T) {
	inputs := []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	var leaves []core.Digest
	for i, want := range []string{
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	} {
		input, err := hex.DecodeString(inputs[i])
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, core.Sum(append([]byte{0}, input...)))
		if got := rootOf(leaves).String(); got != want {
			t.Errorf("root over %d leaves is %s, want %s", i+1, got, want)
		}
	}
}

// From every leaf of every tree its path leads to the root, as no other leaf, and with
// nothing missing or more.
func TestPaths(t *testing.T) {
	var leaves []core.Digest
	for n := 1; n <= maxLeaves; n++ {
		leaves = append(leaves, core.Digest{byte(n)})
		root := rootOf(leaves)
		for i, leaf := range leaves {
			path := appendPath(nil, i, leaves)
			if got, ok := climb(leaf, i, n, path); !ok || got != root {
				t.Errorf("leaf %d of %d leads to %s, %t", i, n, got, ok)
			}
			if len(path) > core.MaxInclusion-beforePath {
				t.Errorf("the path of leaf %d of %d has %d bytes", i, n, len(path))
			}
			for other := range n {
				if got, ok := climb(leaf, other, n, path); other != i && ok && got == root {
					t.Errorf("leaf %d of %d leads to the root as number %d", i, n, other)
				}
			}
			for name, bent := range map[string][]byte{
				"a byte more": append(path[:len(path):len(path)], 0),
				"a hash more": append(path[:len(path):len(path)], make([]byte, sha256.Size)...),
				"a byte less": path[:max(0, len(path)-1)],
				"a hash less": path[:max(0, len(path)-sha256.Size)],
			} {
				if got, ok := climb(leaf, i, n, bent); len(bent) != len(path) && ok && got == root {
					t.Errorf("leaf %d of %d leads to the root with %s", i, n, name)
				}
			}
		}
	}
}
