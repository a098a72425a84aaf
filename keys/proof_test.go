package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

// unsigned returns proof number n of a node, which says something else than any other.
func unsigned(of Signer, n int) core.Proof {
	return core.Proof{OperationType: "compute", NodeID: of.ID(), Timestamp: 1795165200000, InputHash: core.Sum([]byte{byte(n)}),
		OutputHash: core.Sum([]byte("out")), ResultMetric: 1}
}

// together returns n proofs under one signature of a node.
func together(by Signer, n int) []core.Proof {
	proofs, list, nonces := make([]core.Proof, n), make([]*core.Proof, n), make([]byte, n*nonceSize)
	for i := range proofs {
		proofs[i] = unsigned(by, i)
		list[i], nonces[i*nonceSize] = &proofs[i], byte(100+i)
	}
	signTogether(by, list, nonces)
	return proofs
}

// TestProof: a proof that was signed, alone or with others, is good as it is, and with
// a change in any field it is not.
func TestProof(t *testing.T) {
	id := FromSeed(seed(1))
	alone, three := unsigned(id, 0), together(id, 3)
	SignProof(id, &alone)
	for name, c := range map[string]struct {
		change  func(*core.Proof)
		refused core.Kind
	}{
		"operation":            {func(p *core.Proof) { p.OperationType = "train" }, core.Denied},
		"node":                 {func(p *core.Proof) { p.NodeID = FromSeed(seed(2)).ID() }, core.Denied},
		"timestamp":            {func(p *core.Proof) { p.Timestamp++ }, core.Denied},
		"input":                {func(p *core.Proof) { p.InputHash[0] ^= 1 }, core.Denied},
		"output":               {func(p *core.Proof) { p.OutputHash[31] ^= 1 }, core.Denied},
		"metric":               {func(p *core.Proof) { p.ResultMetric = 0.5 }, core.Denied},
		"signature":            {func(p *core.Proof) { p.Signature = make([]byte, 64) }, core.Denied},
		"no signature":         {func(p *core.Proof) { p.Signature = nil }, core.Invalid},
		"metric not 0 to 1":    {func(p *core.Proof) { p.ResultMetric = 2 }, core.Invalid},
		"another's inclusion":  {func(p *core.Proof) { p.Inclusion = three[1].Inclusion }, core.Denied},
		"inclusion of nothing": {func(p *core.Proof) { p.Inclusion = []byte{0} }, core.Denied},
		"inclusion of one":     {func(p *core.Proof) { p.Inclusion = append([]byte{0, 1}, make([]byte, nonceSize)...) }, core.Denied},
		"inclusion too long":   {func(p *core.Proof) { p.Inclusion = make([]byte, core.MaxInclusion+1) }, core.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			for _, signed := range []core.Proof{alone, three[0], three[2]} {
				v := NewProofVerifier()
				if err := v.Verify(signed); err != nil {
					t.Fatal(err)
				}
				bent := signed
				c.change(&bent)
				if err := v.Verify(bent); err == nil || core.KindOf(err) != c.refused {
					t.Errorf("Verify = %v, want %s", err, c.refused)
				}
			}
		})
	}
}

// TestProofsTogether: of any number that may share a signature each is good by itself,
// and says nothing without its inclusion.
func TestProofsTogether(t *testing.T) {
	id := FromSeed(seed(1))
	for n := 2; n <= maxLeaves; n++ {
		for i, p := range together(id, n) {
			if err := NewProofVerifier().Verify(p); err != nil {
				t.Errorf("proof %d of %d: %v", i, n, err)
			}
			p.Inclusion = nil
			if err := NewProofVerifier().Verify(p); !errors.Is(err, core.Denied) {
				t.Errorf("proof %d of %d without its inclusion: %v", i, n, err)
			}
		}
	}
}

// A signature over one proof is none over a tree, nor the other way around.
func TestProofDomainsAreApart(t *testing.T) {
	id := FromSeed(seed(1))
	p := unsigned(id, 0)
	leaf := leafOf(make([]byte, nonceSize), &p)
	root := over(leaf, core.Digest{})
	p.Inclusion = append(append([]byte{0, 2}, make([]byte, nonceSize)...), make([]byte, len(leaf))...)
	p.Signature = id.Sign(DomainProof, headOf(root, 2)...)
	if err := NewProofVerifier().Verify(p); !errors.Is(err, core.Denied) {
		t.Errorf("signed as a proof, the root is %v", err)
	}
	p.Signature = id.Sign(DomainProofs, headOf(root, 4)...)
	if err := NewProofVerifier().Verify(p); !errors.Is(err, core.Denied) {
		t.Errorf("signed for four leaves, the root over two is %v", err)
	}
	p.Signature = id.Sign(DomainProofs, headOf(root, 2)...)
	if err := NewProofVerifier().Verify(p); err != nil {
		t.Error(err)
	}
	p.Inclusion, p.Signature = nil, id.Sign(DomainProofs, p.SigningParts()...)
	if err := NewProofVerifier().Verify(p); !errors.Is(err, core.Denied) {
		t.Errorf("signed as a root, the proof is %v", err)
	}
}

// counting counts the signatures that are made.
type counting struct {
	Signer
	n atomic.Int64
}

func (c *counting) Sign(d Domain, parts ...[]byte) []byte {
	c.n.Add(1)
	return c.Signer.Sign(d, parts...)
}

// TestProofSigner: proofs that many goroutines have at once take fewer signatures than
// they are, none is lost, and each is blinded by a nonce of its own.
func TestProofSigner(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that all are ready before one signs
	id := &counting{Signer: FromSeed(seed(1))}
	s, v := NewProofSigner(id), NewProofVerifier()
	proofs := make([]core.Proof, 10*maxLeaves)
	var done sync.WaitGroup
	for i := range proofs {
		done.Go(func() {
			proofs[i] = unsigned(id, i)
			proofs[i].NodeID = ""
			s.Sign(&proofs[i], true)
		})
	}
	done.Wait()
	nonces := map[string]int{}
	for i, p := range proofs {
		if err := v.Verify(p); err != nil || p.NodeID != id.ID() {
			t.Errorf("proof %d of %s: %v", i, p.NodeID, err)
		}
		if len(p.Inclusion) == 0 {
			continue
		}
		nonce := string(p.Inclusion[2:beforePath])
		if other, known := nonces[nonce]; known {
			t.Errorf("proofs %d and %d have the same nonce", other, i)
		}
		nonces[nonce] = i
	}
	if n := id.n.Load(); n < 10 || n >= int64(len(proofs)) {
		t.Errorf("%d signatures for %d proofs, of which %d may share one", n, len(proofs), maxLeaves)
	}
}

// TestProofSignerAlone: a proof that comes by itself is signed alone, whether others
// might have come or not.
func TestProofSignerAlone(t *testing.T) {
	s, v := NewProofSigner(FromSeed(seed(1))), NewProofVerifier()
	for _, others := range []bool{false, true} {
		p := unsigned(s.signer, 0)
		s.Sign(&p, others)
		if err := v.Verify(p); err != nil || len(p.Inclusion) != 0 {
			t.Errorf("inclusion of %d bytes, %v", len(p.Inclusion), err)
		}
	}
}

// TestAloneUntil: only where letting others run took long, and none of them came, is it
// not done again for a while.
func TestAloneUntil(t *testing.T) {
	begun := time.Unix(1795165200, 0)
	for name, c := range map[string]struct {
		took   time.Duration
		proofs int
		want   time.Time
	}{
		"soon, in vain":     {longPause - 1, 1, time.Time{}},
		"long, in vain":     {longPause, 1, begun.Add(11 * longPause)},
		"long, not in vain": {time.Second, 2, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := aloneUntil(begun, c.took, c.proofs); !got.Equal(c.want) {
				t.Errorf("alone until %s, want %s", got, c.want)
			}
		})
	}
}

// TestProofVerifierRemembers: a signature is remembered with what it was found to be,
// and no other passes for it.
func TestProofVerifierRemembers(t *testing.T) {
	v, four := NewProofVerifier(), together(FromSeed(seed(1)), 4)
	forged := four[0]
	forged.Signature = bytes.Clone(forged.Signature)
	forged.Signature[9] ^= 1
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for _, p := range four {
				if err := v.Verify(p); err != nil {
					t.Error(err)
				}
			}
			if err := v.Verify(forged); !errors.Is(err, core.Denied) {
				t.Errorf("a forged signature of known proofs is %v", err)
			}
		})
	}
	done.Wait()
	if n := v.known.Len(); n != 2 {
		t.Errorf("%d signatures are remembered, not one good and one forged", n)
	}
	for i := range 2 * maxKnown {
		forged.Signature[0], forged.Signature[1] = byte(i), byte(i>>8)
		if err := v.Verify(forged); !errors.Is(err, core.Denied) {
			t.Fatalf("forgery %d is %v", i, err)
		}
	}
	if n := v.known.Len(); n != maxKnown {
		t.Errorf("%d signatures are remembered, at most %d should be", n, maxKnown)
	}
	if err := v.Verify(four[3]); err != nil {
		t.Errorf("a good proof after many forgeries: %v", err)
	}
}

// TestProofVectors: three proofs under one signature, for other implementations.
func TestProofVectors(t *testing.T) {
	got, err := json.MarshalIndent(together(FromSeed(seed(1)), 3), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/proofs.json"
	if want, err := os.ReadFile(file); err != nil || !bytes.Equal(want, append(got, '\n')) {
		t.Errorf("%s changed (%v); got\n%s", file, err, got)
	}
}

// FuzzInclusion: no other inclusion of a signed proof is good, so that nobody can make
// two of one.
func FuzzInclusion(f *testing.F) {
	v, proofs := NewProofVerifier(), together(FromSeed(seed(1)), 5)
	for i, p := range proofs {
		f.Add(byte(i), p.Inclusion)
		other := bytes.Clone(p.Inclusion)
		other[1] = 8 // a path of the same length where there are eight
		f.Add(byte(i), other)
	}
	f.Add(byte(0), []byte{})
	f.Fuzz(func(t *testing.T, n byte, inclusion []byte) {
		signed := proofs[int(n)%len(proofs)]
		p := signed
		p.Inclusion = inclusion
		if err := v.Verify(p); (err == nil) != bytes.Equal(inclusion, signed.Inclusion) {
			t.Errorf("inclusion %x: %v", inclusion, err)
		}
	})
}

// BenchmarkProofs: what it costs to sign and to verify so many proofs.
func BenchmarkProofs(b *testing.B) {
	id := FromSeed(seed(1))
	for _, n := range []int{1, 2, 4, maxLeaves} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			v := NewProofVerifier()
			for b.Loop() {
				proofs := []core.Proof{unsigned(id, 0)}
				if n == 1 {
					SignProof(id, &proofs[0])
				} else {
					proofs = together(id, n)
				}
				for _, p := range proofs {
					if err := v.Verify(p); err != nil {
						b.Fatal(err)
					}
				}
				v.known.Purge()
			}
		})
	}
}
