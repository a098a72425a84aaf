package vector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// maxLiteral is the longest number literal read; float64 needs 24 characters.
const maxLiteral = 128

// problem is what is wrong at an element of an array, or with the array itself
// when index is -1. The caller knows the path and makes the error.
type problem struct {
	index  int
	text   string
	tooBig bool // an integer outside int64; the array was read to its end
}

// scanner reads the few forms of JSON this package needs, in one pass and
// without recursion, so that depth cannot hurt. It accepts no text that is not
// JSON.
type scanner struct {
	b []byte
	i int
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\n', '\t', '\r':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// take consumes c if it is next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// str reads a string of at most limit bytes.
func (s *scanner) str(limit int) (string, bool) {
	if s.peek() != '"' {
		return "", false
	}
	for j := s.i + 1; j < len(s.b) && j < s.i+2+limit; j++ {
		switch c := s.b[j]; {
		case c == '"':
			raw := s.b[s.i+1 : j]
			s.i = j + 1
			return common(raw), true
		case c == '\\' || c < ' ' || c >= 0x80:
			return s.escaped(limit)
		}
	}
	return "", false
}

// common is string(raw), without an allocation for the words that most tasks have.
func common(raw []byte) string {
	switch string(raw) {
	case "input":
		return "input"
	case "operations":
		return "operations"
	case "op":
		return "op"
	}
	return string(raw)
}

// operation reads the name of one of r's operations without an escape in it, if
// it stands here, and otherwise nothing.
func (s *scanner) operation(r registry) *operation {
	if s.peek() != '"' {
		return nil
	}
	rest := s.b[s.i+1:]
	end := bytes.IndexByte(rest[:min(len(rest), maxName+1)], '"')
	if end < 0 {
		return nil
	}
	op := r[string(rest[:end])]
	if op != nil {
		s.i += end + 2
	}
	return op
}

// escaped reads a string the slow way: no name that means something needs it.
func (s *scanner) escaped(limit int) (string, bool) {
	for j := s.i + 1; j < len(s.b) && j < s.i+2+limit; j++ {
		switch s.b[j] {
		case '\\':
			j++
		case '"':
			var text string
			err := json.Unmarshal(s.b[s.i:j+1], &text)
			s.i = j + 1
			return text, err == nil
		}
	}
	return "", false
}

// boolean reads true or false.
func (s *scanner) boolean() (value, ok bool) {
	s.peek()
	for _, word := range [...]string{"true", "false"} {
		if end := s.i + len(word); end <= len(s.b) && string(s.b[s.i:end]) == word {
			s.i = end
			return word == "true", true
		}
	}
	return false, false
}

// object calls field after each key, positioned at its value; field consumes the
// value. The text is "" or what is wrong with the object itself.
func (s *scanner) object(field func(key string) error) (text string, err error) {
	if !s.take('{') {
		return "is not an object", nil
	}
	if s.take('}') {
		return "", nil
	}
	for {
		key, ok := s.str(maxName)
		if !ok || !s.take(':') {
			return "is not well-formed", nil
		}
		if err := field(key); err != nil {
			return "", err
		}
		if s.take('}') {
			return "", nil
		}
		if !s.take(',') {
			return "is not well-formed", nil
		}
	}
}

// number reads one number: an int64 if it is written without fraction and
// exponent and fits, otherwise a float64. The text is "" or what is wrong.
func (s *scanner) number() (n number, text string) {
	s.peek()
	start, i, b := s.i, s.i, s.b
	neg := i < len(b) && b[i] == '-'
	if neg {
		i++
	}
	digits := i
	var u uint64
	for i < len(b) && b[i]-'0' <= 9 {
		u = u*10 + uint64(b[i]-'0')
		i++
	}
	if i == digits || b[digits] == '0' && i > digits+1 {
		return number{}, notNumber(b[start:])
	}
	if i < len(b) && (b[i] == '.' || b[i]|0x20 == 'e') {
		if n, ok := s.short(i, digits, u, neg); ok {
			return n, ""
		}
		return s.float(i)
	}
	s.i = i
	if i-digits > 18 {
		return bigInt(b[start:i])
	}
	if neg {
		u = -u
	}
	return number{i: int64(u)}, ""
}

// bigInt reads an integer literal that may leave int64.
func bigInt(literal []byte) (number, string) {
	if len(literal) > maxLiteral {
		return number{}, "is a number of more than 128 characters"
	}
	if i, err := strconv.ParseInt(string(literal), 10, 64); err == nil {
		return number{i: i}, ""
	}
	f, err := strconv.ParseFloat(string(literal), 64)
	if err != nil {
		return number{}, "is outside the range of float64"
	}
	return number{f: f, float: true, whole: true}, ""
}

// short finishes a number without exponent and of at most 15 digits, the usual
// kind: its digits and the power of ten are exact in float64, so the one division
// rounds correctly, as strconv would. digits is where the integer part u begins.
func (s *scanner) short(i, digits int, u uint64, neg bool) (number, bool) {
	b, point := s.b, i
	if b[i] != '.' {
		return number{}, false
	}
	for i++; i < len(b) && b[i]-'0' <= 9 && i < digits+17; i++ {
		u = u*10 + uint64(b[i]-'0')
	}
	places := i - point - 1
	if places < 1 || i-digits > 16 || i < len(b) && b[i]|0x20 == 'e' {
		return number{}, false
	}
	pow := [16]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}
	f := float64(u) / pow[places]
	if neg {
		f = -f
	}
	s.i = i
	return number{f: f, float: true}, true
}

// float finishes a number whose integer part ends at i.
func (s *scanner) float(i int) (number, string) {
	start, b := s.i, s.b
	if b[i] == '.' {
		i++
		from := i
		i = skipDigits(b, i)
		if i == from {
			return number{}, "is not a number: a digit must follow the point"
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		i = skipDigits(b, i)
		if i == from {
			return number{}, "is not a number: a digit must follow the exponent sign"
		}
	}
	if i-start > maxLiteral {
		return number{}, "is a number of more than 128 characters"
	}
	f, err := strconv.ParseFloat(string(b[start:i]), 64)
	if err != nil || math.IsInf(f, 0) {
		return number{}, "is outside the range of float64"
	}
	s.i = i
	return number{f: f, float: true}, ""
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// notNumber says what stands where a number should.
func notNumber(b []byte) string {
	if len(b) == 0 {
		return "is missing"
	}
	switch b[0] {
	case '[':
		return "is an array; only numbers can stand here"
	case '{':
		return "is an object; only numbers can stand here"
	case '"':
		return "is a string; only numbers can stand here"
	case ',', ']', '}':
		return "is missing"
	}
	return fmt.Sprintf("is not a number: %.12q", b[:min(len(b), 12)])
}

// numbers reads an array of at most limit numbers. All are int64 unless one has
// a fraction or an exponent or asFloat is set; then all are float64.
func (s *scanner) numbers(limit int, asFloat bool) (values, *problem) {
	if !s.take('[') {
		return values{}, &problem{index: -1, text: "is not an array of numbers"}
	}
	c := collector{v: values{float: asFloat}, forced: asFloat, tooBig: -1}
	if s.take(']') {
		return c.v, nil
	}
	end := max(0, bytes.IndexByte(s.b[s.i:], ']'))
	c.grow(min(limit, 1+bytes.Count(s.b[s.i:s.i+end], []byte{','})))
	for i := 0; ; i++ {
		if i == limit {
			return values{}, &problem{index: -1, text: fmt.Sprintf("has more than %d numbers", limit)}
		}
		n, text := s.number()
		if text != "" {
			return values{}, &problem{index: i, text: text}
		}
		c.add(n, i)
		if s.take(',') {
			continue
		}
		if s.take(']') {
			return c.done()
		}
		return values{}, &problem{index: i, text: "is not followed by ',' or ']'"}
	}
}

// collector keeps int64 values for as long as it can.
type collector struct {
	v       values
	forced  bool // float64 whatever the literals say
	sawReal bool // a fraction or exponent was seen
	tooBig  int  // index of the first integer outside int64, -1 = none
}

// grow makes room for n numbers.
func (c *collector) grow(n int) {
	if c.v.float {
		c.v.floats = make([]float64, 0, n)
		return
	}
	c.v.ints = make([]int64, 0, n)
}

func (c *collector) add(n number, i int) {
	if n.float {
		c.sawReal = c.sawReal || !n.whole
		if n.whole && c.tooBig < 0 {
			c.tooBig = i
		}
		if !c.v.float {
			c.v = c.v.toFloat()
		}
		c.v.floats = append(c.v.floats, n.f)
		return
	}
	if c.v.float {
		c.v.floats = append(c.v.floats, float64(n.i))
		return
	}
	c.v.ints = append(c.v.ints, n.i)
}

// done decides what integers outside int64 were: floats if the array is one.
func (c *collector) done() (values, *problem) {
	if c.tooBig >= 0 && !c.sawReal && !c.forced {
		return c.v, &problem{index: c.tooBig, text: "is an integer outside int64; write it with an exponent to compute in float64", tooBig: true}
	}
	return c.v, nil
}
