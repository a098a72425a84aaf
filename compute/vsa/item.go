package vsa

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/tenzro/tenzro/compute"
	"github.com/tenzro/tenzro/compute/vsa/hyper"
	"github.com/tenzro/tenzro/core"
)

// Bounds of both task types.
const (
	// MaxVectors is how many vectors a task gives at most.
	MaxVectors = 65_536
	// MaxMemory bounds the bytes of all vectors that a task holds at once.
	MaxMemory = 256 << 20
	// MaxUnits caps the estimated work of one task: about 20 s of one core.
	MaxUnits = 2e10
	// MaxSymbol is the longest text of a symbol, in bytes.
	MaxSymbol = 256

	maxName = 64

	growUnits = 2.5 // of a word that is made from a seed
	textUnits = 40  // of a word that is read from text
)

func corrupt(name, format string, a ...any) error {
	return core.Errorf(core.Corrupt, name, "%s %s", name, fmt.Sprintf(format, a...))
}

// under says where in the data an error of package hyper or wire was found.
func under(path string, err error) error { return core.Errorf(core.Invalid, path, "%s: %w", path, err) }

// space is what all vectors of a task have in common.
type space struct {
	kind hyper.Kind
	dim  int
}

func newSpace(kind string, dimension int) (s space, err error) {
	if s.kind, err = hyper.ParseKind(kind); err != nil {
		return s, compute.Invalid("data.kind", "%.32q is unknown", kind).WithHint("use binary or ternary")
	}
	if hyper.CheckDimension(dimension) != nil {
		return s, compute.Invalid("data.dimension", "is %d; it must be 1 to %d", dimension, hyper.MaxDimension)
	}
	s.dim = dimension
	return s, nil
}

// words and bytes are the size of one vector.
func (s space) words() float64 { return float64(s.kind.Words(s.dim)) }
func (s space) bytes() int     { return s.kind.Bytes(s.dim) }

// item is a vector as a task gives it, by exactly one of the last four fields.
// Kind and dimension may be repeated, so that a result can be given back.
type item struct {
	Name      string  `json:"name,omitempty"`
	Kind      string  `json:"kind,omitempty"`
	Dimension int     `json:"dimension,omitempty"`
	Hex       *string `json:"hex,omitempty"`
	Base64    *string `json:"base64,omitempty"`
	Seed      *string `json:"seed,omitempty"`
	Symbol    *string `json:"symbol,omitempty"`
}

// origin is an item that was checked: the vector, or the seed it grows from.
type origin struct {
	vector *hyper.Vector // nil: random
	seed   uint64
}

// origin checks an item.
func (s space) origin(path string, it item) (origin, error) {
	if it.Kind != "" && it.Kind != s.kind.String() {
		return origin{}, compute.Invalid(path+".kind", "is %.32q, the task's is %s", it.Kind, s.kind)
	}
	if it.Dimension != 0 && it.Dimension != s.dim {
		return origin{}, compute.Invalid(path+".dimension", "is %d, the task's is %d", it.Dimension, s.dim)
	}
	given := 0
	for _, field := range []*string{it.Hex, it.Base64, it.Seed, it.Symbol} {
		if field != nil {
			given++
		}
	}
	switch {
	case given != 1:
		return origin{}, compute.Invalid(path, "must have exactly one of hex, base64, seed and symbol")
	case it.Seed != nil:
		seed, err := parseSeed(path+".seed", *it.Seed)
		return origin{seed: seed}, err
	case it.Symbol != nil:
		return origin{seed: hyper.SymbolSeed(*it.Symbol)}, checkSymbol(path+".symbol", *it.Symbol)
	case it.Hex != nil:
		b, err := fromHex(*it.Hex)
		return s.literal(path+".hex", b, err)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(*it.Base64)
	if err == nil && strings.ContainsAny(*it.Base64, "\r\n") { // which the decoder skips
		err = core.Errorf(core.Invalid, "", "it has line breaks")
	}
	return s.literal(path+".base64", b, err)
}

// fromHex accepts lower-case digits only, so that equal vectors are equal texts.
func fromHex(text string) ([]byte, error) {
	if strings.ContainsAny(text, "ABCDEF") {
		return nil, core.Errorf(core.Invalid, "", "hex digits must be lower-case")
	}
	return hex.DecodeString(text)
}

func (s space) literal(path string, b []byte, err error) (origin, error) {
	v := new(hyper.Vector)
	if err == nil {
		err = v.Parse(s.kind, s.dim, b)
	}
	if err != nil {
		return origin{}, under(path, err)
	}
	return origin{vector: v}, nil
}

// parseSeed reads a seed: a decimal string, as JSON numbers end at 2^53.
func parseSeed(path, text string) (uint64, error) {
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil || strconv.FormatUint(seed, 10) != text {
		return 0, compute.Invalid(path, "%.32q is not a number from 0 to 2^64-1", text).WithHint(`write digits in a string, for example "42"`)
	}
	return seed, nil
}

func checkSymbol(path, text string) error {
	if text == "" || len(text) > MaxSymbol {
		return compute.Invalid(path, "has %d bytes; it must have 1 to %d", len(text), MaxSymbol)
	}
	return nil
}

// units estimates what it takes to have the vector.
func (o origin) units(s space) float64 {
	if o.vector != nil {
		return textUnits * s.words()
	}
	return growUnits * s.words()
}

// vector returns the vector of an origin; dst is used when it has to be made.
func (s space) vector(o origin, dst *hyper.Vector) (*hyper.Vector, error) {
	if o.vector != nil {
		return o.vector, nil
	}
	return dst, dst.Random(s.kind, s.dim, o.seed)
}

// shown is a vector in a result.
type shown struct {
	Kind      string `json:"kind"`
	Dimension int    `json:"dimension"`
	Hex       string `json:"hex,omitempty"`
	Base64    string `json:"base64,omitempty"`
}

// encoding is how a task wants vectors written.
type encoding string

func (e encoding) check() error {
	if e != "" && e != "hex" && e != "base64" {
		return compute.Invalid("data.encoding", "%.32q is unknown", string(e)).WithHint("use hex or base64")
	}
	return nil
}

// show writes a vector.
func (e encoding) show(v *hyper.Vector) shown {
	out := shown{Kind: v.Kind().String(), Dimension: v.Dimension()}
	if e == "base64" {
		out.Base64 = base64.StdEncoding.EncodeToString(v.Bytes())
	} else {
		out.Hex = hex.EncodeToString(v.Bytes())
	}
	return out
}

// read is the inverse of show; whether the text is the one show writes, its user
// finds out by writing it again.
func (s space) read(name string, out shown) (*hyper.Vector, error) {
	it := item{Kind: out.Kind, Dimension: out.Dimension}
	if out.Hex != "" {
		it.Hex = &out.Hex
	}
	if out.Base64 != "" {
		it.Base64 = &out.Base64
	}
	o, err := s.origin(name, it)
	if err != nil {
		return nil, core.Errorf(core.Corrupt, name, "%w", err)
	}
	return o.vector, nil
}

func validName(name string) bool {
	return name != "" && len(name) <= maxName && strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}) < 0
}
