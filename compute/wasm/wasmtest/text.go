package wasmtest

import (
	"fmt"
	"strconv"
	"strings"
)

// node is an S-expression: a word, a string or a list.
type node struct {
	word string
	text []byte // a string's bytes; non-nil for strings
	list []node // non-nil for lists
	line int
}

// head returns the first word of a list, "" for anything else.
func (n node) head() string {
	if len(n.list) > 0 {
		return n.list[0].word
	}
	return ""
}

func (n node) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{n.line}, args...)...)
}

// scanner cuts text into nodes.
type scanner struct {
	text string
	pos  int
	line int
}

func parse(text string) (node, error) {
	s := &scanner{text: text, line: 1}
	n, err := s.node()
	if err != nil {
		return n, err
	}
	if s.skip(); s.pos < len(s.text) {
		return n, fmt.Errorf("line %d: text behind the module", s.line)
	}
	return n, nil
}

// skip passes white space and comments.
func (s *scanner) skip() {
	for s.pos < len(s.text) {
		rest := s.text[s.pos:]
		switch {
		case rest[0] == '\n':
			s.line++
			s.pos++
		case strings.ContainsRune(" \t\r", rune(rest[0])):
			s.pos++
		case strings.HasPrefix(rest, ";;"):
			s.pos += lineLength(rest)
		case strings.HasPrefix(rest, "(;"):
			end := strings.Index(rest, ";)")
			if end < 0 {
				end = len(rest) - 2
			}
			s.line += strings.Count(rest[:end], "\n")
			s.pos += end + 2
		default:
			return
		}
	}
}

func lineLength(text string) int {
	if n := strings.IndexByte(text, '\n'); n >= 0 {
		return n
	}
	return len(text)
}

func (s *scanner) node() (node, error) {
	s.skip()
	n := node{line: s.line}
	if s.pos == len(s.text) {
		return n, n.errorf("the text ends too early")
	}
	switch s.text[s.pos] {
	case '(':
		return s.list()
	case ')':
		return n, n.errorf("')' without '('")
	case '"':
		return s.str()
	}
	end := strings.IndexAny(s.text[s.pos:], " \t\r\n()\";")
	if end < 0 {
		end = len(s.text) - s.pos
	}
	n.word = s.text[s.pos : s.pos+end]
	s.pos += max(end, 1)
	return n, nil
}

func (s *scanner) list() (node, error) {
	n := node{line: s.line, list: []node{}}
	s.pos++
	for {
		if s.skip(); s.pos < len(s.text) && s.text[s.pos] == ')' {
			s.pos++
			return n, nil
		}
		c, err := s.node()
		if err != nil {
			return n, err
		}
		n.list = append(n.list, c)
	}
}

// str reads a string with the escapes \n \t \\ \" \' and \hh.
func (s *scanner) str() (node, error) {
	n := node{line: s.line, text: []byte{}}
	for s.pos++; s.pos < len(s.text); s.pos++ {
		c := s.text[s.pos]
		switch {
		case c == '"':
			s.pos++
			return n, nil
		case c == '\\' && s.pos+2 < len(s.text):
			s.pos++
			c, extra, ok := escape(s.text[s.pos : s.pos+2])
			if !ok {
				return n, n.errorf("unknown escape \\%s", s.text[s.pos:s.pos+2])
			}
			n.text = append(n.text, c)
			s.pos += extra
		default:
			n.text = append(n.text, c)
		}
	}
	return n, n.errorf("a string without end")
}

// escape decodes what stands behind a backslash; extra is 1 if it took both
// characters.
func escape(two string) (c byte, extra int, ok bool) {
	if i := strings.IndexByte("nt\\\"'", two[0]); i >= 0 {
		return "\n\t\\\"'"[i], 0, true
	}
	v, err := strconv.ParseUint(two, 16, 8)
	return byte(v), 1, err == nil
}
