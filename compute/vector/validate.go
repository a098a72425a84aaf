package vector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/tenzro/tenzro/core"
)

func corrupt(name, format string, a ...any) error {
	return core.Errorf(core.Corrupt, name, "%s %s", name, fmt.Sprintf(format, a...))
}

// validateValue reports why raw cannot be a value of shape want that the last
// step of p has left. Only the one encoding this package writes is accepted, so
// that equal values are equal bytes.
func (p *program) validateValue(raw json.RawMessage, want shape, name string) error {
	if len(raw) > core.MaxTaskBytes {
		return corrupt(name, "has %d bytes; at most %d can be delivered", len(raw), core.MaxTaskBytes)
	}
	v, text := decodeValue(raw, want)
	switch {
	case text != "":
		return corrupt(name, "%s", text)
	case v.float != want.float:
		return corrupt(name, "has a number outside int64")
	case v.counts == nil && (v.len() < want.lo || v.len() > want.hi):
		return corrupt(name, "has %d elements, not %d to %d", v.len(), want.lo, want.hi)
	}
	if again, err := v.encode(); err != nil || !bytes.Equal(again, raw) {
		return corrupt(name, "is not written in the canonical form")
	}
	last := &p.steps[len(p.steps)-1]
	if !want.contains(v) || last.op.holds != nil && !last.op.holds(v, &last.args) {
		return corrupt(name, "has values that %s cannot give", last.op.name)
	}
	return nil
}

// contains reports whether the values obey the bounds of the shape.
func (want shape) contains(v values) bool {
	if v.counts != nil {
		return want.isHistogram(v)
	}
	for i := range v.len() {
		if x := v.at(i).real(); x < want.min || x > want.max {
			return false
		}
	}
	return true
}

func (want shape) isHistogram(v values) bool {
	total := 0
	for _, c := range v.counts {
		if c < 0 || c > MaxElements {
			return false
		}
		total += int(c)
	}
	return len(v.counts) == want.bins && len(v.floats) == want.bins+1 && total >= want.lo && total <= want.hi &&
		ordered(values{floats: v.floats, float: true}, func(c int) bool { return c <= 0 })
}

// decodeValue reads raw as a value of the form of want.
func decodeValue(raw json.RawMessage, want shape) (v values, text string) {
	s := scanner{b: raw}
	var bad *problem
	switch {
	case want.bins > 0:
		v, text = s.histogram()
	case want.scalar:
		var n number
		if n, text = s.number(); text == "" {
			v = scalar(n)
		}
		if want.float && text == "" {
			v = v.toFloat()
		}
	default:
		v, bad = s.numbers(want.hi, want.float)
	}
	if bad != nil {
		return v, bad.text
	}
	if text == "" && s.i != len(raw) {
		text = "is followed by other text"
	}
	return v, text
}

func (s *scanner) histogram() (values, string) {
	v := values{float: true, counts: []int64{}}
	bad := ""
	text, _ := s.object(func(key string) error {
		part, p := s.numbers(MaxBins+1, key == "edges")
		switch {
		case p != nil:
			bad = key + " " + p.text
		case key == "edges":
			v.floats = part.floats
		case key == "counts" && !part.float:
			v.counts = append(v.counts, part.ints...)
		default:
			bad = "is not a histogram"
		}
		if bad != "" {
			return core.Corrupt
		}
		return nil
	})
	return v, text + bad
}

// encode returns the form in which a summary crosses the network: count, then
// what the reduce needs.
func (s *summary) encode() json.RawMessage {
	b := strconv.AppendInt([]byte(`{"count":`), int64(s.count), 10)
	if s.needs.has(needSum) {
		b = append(append(append(b, `,"sum":"`...), s.sum.String()...), '"')
	}
	if s.needs.has(needSquares) {
		b = append(append(append(b, `,"squares":"`...), s.squares.String()...), '"')
	}
	if s.needs.has(needMin) && s.count > 0 {
		b = appendNumber(append(b, `,"min":`...), s.min)
	}
	if s.needs.has(needMax) && s.count > 0 {
		b = appendNumber(append(b, `,"max":`...), s.max)
	}
	if s.needs.has(needProduct) {
		b = s.appendProduct(b)
	}
	return append(b, '}')
}

func (s *summary) appendProduct(b []byte) []byte {
	if !s.float {
		return append(append(append(b, `,"product":"`...), s.product.String()...), '"')
	}
	b = append(b, `,"blocks":[`...)
	for i, k := range s.blocks {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), k.exact().String()...), '"')
	}
	return append(b, ']')
}

// maxSummary bounds the text of a summary: two exact numbers, or the blocks of
// the largest input.
const maxSummary = 64 << 10

// decodeSummary reads the summary of count elements that a step's reduce left.
func (st *step) decodeSummary(raw json.RawMessage, count int, name string) (*summary, error) {
	if len(raw) > maxSummary {
		return nil, corrupt(name, "has %d bytes; no summary has more than %d", len(raw), maxSummary)
	}
	d := summaryReader{s: scanner{b: raw}, out: newSummary(st.op.needs, st.in.float), maxCount: count}
	text, err := d.s.object(d.field)
	switch {
	case err != nil:
		return nil, corrupt(name, "%v", err)
	case text != "":
		return nil, corrupt(name, "%s", text)
	case !bytes.Equal(d.out.encode(), raw): // also what is missing, doubled, extra or out of order
		return nil, corrupt(name, "is not the canonical summary that %s leaves", st.op.name)
	case d.out.count != count:
		return nil, corrupt(name, "counts %d elements; the shard has %d", d.out.count, count)
	}
	if text := d.out.implausible(st.in); text != "" {
		return nil, corrupt(name, "%s", text)
	}
	return d.out, nil
}

// summaryReader fills a summary; whether the fields are the right ones is
// decided by encoding it again.
type summaryReader struct {
	s        scanner
	out      *summary
	maxCount int
}

func (d *summaryReader) field(key string) error {
	s := d.out
	extra := bits.Len(uint(d.maxCount))
	ok := false
	switch key {
	case "count":
		var n number
		n, ok = d.number(false)
		s.count = int(n.i)
	case "sum":
		s.sum, ok = d.exact(base(s.float, baseFloat), either(s.float, 1024, 64)+extra)
	case "squares":
		s.squares, ok = d.exact(base(s.float, baseSquares), either(s.float, 2048, 127)+extra)
	case "product":
		s.product, ok = d.exact(0, 65)
		ok = ok && (s.product.size() <= 64 || s.product.String() == hugeProduct().String())
	case "min":
		s.min, ok = d.number(s.float)
	case "max":
		s.max, ok = d.number(s.float)
	case "blocks":
		ok = d.blocks()
	}
	if !ok {
		return core.Errorf(core.Corrupt, "summary", "has a field %.20q that is unknown or out of range", key)
	}
	return nil
}

// either returns a for float64 and b for integers.
func either(float bool, a, b int) int {
	if float {
		return a
	}
	return b
}

func (d *summaryReader) number(float bool) (number, bool) {
	n, text := d.s.number()
	if text != "" || n.float && !float {
		return number{}, false
	}
	if float {
		return realNumber(n.real()), true
	}
	return n, true
}

func (d *summaryReader) exact(lowest, size int) (exact, bool) {
	text, ok := d.s.str(limbs*8 + 16)
	if !ok {
		return exact{}, false
	}
	return parseExact(text, lowest, size)
}

func (d *summaryReader) blocks() bool {
	limit := (d.maxCount + blockSize - 1) / blockSize
	if !d.s.take('[') {
		return false
	}
	if d.s.take(']') {
		return true
	}
	for {
		e, ok := d.exact(-maxBlockExp, maxBlockExp)
		if !ok || len(d.out.blocks) == limit {
			return false
		}
		b, ok := toBlock(e)
		if !ok {
			return false
		}
		d.out.blocks = append(d.out.blocks, b)
		if d.s.take(']') {
			return len(d.out.blocks) == limit
		}
		if !d.s.take(',') {
			return false
		}
	}
}

// implausible returns what no array of shape in can have given, "" if nothing.
func (s *summary) implausible(in shape) string {
	n := big.NewInt(int64(s.count))
	if s.needs.has(needSum) && !s.sumWithin(in) {
		return "has a sum that its elements cannot reach"
	}
	if s.needs.has(needSquares) && s.squares.mant.Sign() < 0 {
		return "has a negative sum of squares"
	}
	if s.needs.has(needSum) && s.needs.has(needSquares) {
		left := exact{new(big.Int).Mul(s.squares.mant, n), s.squares.exp}
		if left.minus(s.sum.times(s.sum)).mant.Sign() < 0 { // Cauchy and Schwarz
			return "has a sum of squares that is too small for its sum"
		}
	}
	if s.count == 0 {
		return ""
	}
	lo, hi := s.needs.has(needMin), s.needs.has(needMax)
	switch {
	case lo && hi && less(s.max, s.min):
		return "has a minimum above its maximum"
	case lo && (s.min.real() < in.min || s.min.real() > in.max), hi && (s.max.real() < in.min || s.max.real() > in.max):
		return "has an extreme that the operations before cannot give"
	}
	return ""
}

// sumWithin reports whether the sum lies between count times the bounds.
func (s *summary) sumWithin(in shape) bool {
	if s.count == 0 {
		return s.sum.mant.Sign() == 0
	}
	below := in.min > -1e300 && s.sum.minus(fromFloat(in.min).timesInt(s.count)).mant.Sign() < 0
	above := in.max < 1e300 && s.sum.minus(fromFloat(in.max).timesInt(s.count)).mant.Sign() > 0
	return !below && !above
}
