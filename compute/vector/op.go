package vector

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// class says how an operation sees the array.
type class uint8

const (
	elementwise class = iota // one number in, one number out
	reduce                   // all numbers in, one out, in any grouping
	global                   // needs the whole array
)

// String returns the word docs/compute.md uses.
func (c class) String() string { return [...]string{"elementwise", "reduce", "global"}[c] }

// operation is one row of the registry.
type operation struct {
	name   string
	class  class
	params []param
	units  float64 // estimated nanoseconds per element

	// Elementwise: ints is nil when the result leaves the integers, and returns
	// false on overflow. floats returns NaN outside the function's domain and an
	// infinity on overflow. staysInt may veto ints for some parameters.
	ints     func(a *args, x int64) (int64, bool)
	floats   func(a *args, x float64) float64
	staysInt func(a *args) bool

	// Reduce: what to collect and how to finish.
	needs  need
	finish func(s *summary, a *args) (number, error)

	// Global. whole is the array operation; it may reuse v's memory.
	whole func(v values, a *args) (values, error)

	least func(a *args) int             // elements a reduce or global needs; nil = none
	sorts bool                          // units are per element and binary digit of their number
	out   func(in shape, a *args) shape // nil = same shape, any value
	valid func(a *args) (param, text string)
	holds func(v values, a *args) bool // what is true of every result; nil = nothing more
}

// paramKind is the type of a parameter.
type paramKind uint8

const (
	realParam  paramKind = iota // any finite number
	wholeParam                  // an integer
	wordParam                   // one of words
)

// param is one parameter. A parameter that is not optional must be given.
type param struct {
	name     string
	kind     paramKind
	optional bool
	def      number   // when optional and real or whole
	min, max float64  // bounds of whole and real
	words    []string // the first is the default
}

func anyReal(name string) param {
	return param{name: name, kind: realParam, min: -math.MaxFloat64, max: math.MaxFloat64}
}

func wholeIn(name string, lo, hi float64) param {
	return param{name: name, kind: wholeParam, min: lo, max: hi}
}

func (p param) or(def int64) param {
	p.optional, p.def = true, integer(def)
	return p
}

// maxName is the longest name or word read.
const maxName = 64

// maxParams is the most parameters an operation has.
const maxParams = 2

// args are an operation's parameters in the order of its row.
type args struct {
	num  [maxParams]number
	word int // index into words
}

func (a *args) f(i int) float64 { return a.num[i].real() }

// set stores a parameter read from s and returns what is wrong with it.
func (a *args) set(i int, p param, s *scanner) string {
	if p.kind == wordParam {
		text, ok := s.str(maxName)
		if a.word = slices.Index(p.words, text); !ok || a.word < 0 {
			return "must be one of " + strings.Join(p.words, ", ")
		}
		return ""
	}
	n, text := s.number()
	switch {
	case text != "":
		return text
	case p.kind == wholeParam && n.float:
		return "must be an integer"
	case n.real() < p.min || n.real() > p.max:
		return fmt.Sprintf("is %v; it must be %v to %v", n.real(), p.min, p.max)
	}
	a.num[i] = n
	return ""
}

// required returns how many elements the operation cannot do without.
func (o *operation) required(a *args) int {
	if o.least == nil {
		return 0
	}
	return o.least(a)
}

// registry is all operations by name.
type registry map[string]*operation

func newRegistry() registry {
	r := registry{}
	for _, list := range [][]operation{arithmetic(), roundings(), transcendental(), reduces(), arrays(), statistics()} {
		for i := range list {
			r[list[i].name] = &list[i]
		}
	}
	return r
}

// names returns all names, sorted.
func (r registry) names() []string {
	names := make([]string, 0, len(r))
	for n := range r {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
