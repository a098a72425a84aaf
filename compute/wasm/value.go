package wasm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/tenzro/tenzro/compute/program"
	"github.com/tenzro/tenzro/compute/wasm/convert"
	"github.com/tenzro/tenzro/compute/wasm/isa"
)

// parameters turns the arguments of a task into the words a function is called
// with. The error names the argument.
func parameters(f *convert.FuncType, args []json.RawMessage) ([]uint64, error) {
	if len(args) != len(f.Params) {
		return nil, invalid("data.args", "give one argument for each parameter", "the function takes %d arguments %v, data.args has %d", len(f.Params), f.Params, len(args))
	}
	words := make([]uint64, len(args))
	for i, t := range f.Params {
		var ok bool
		if words[i], ok = parameter(t, text(args[i])); !ok {
			return nil, invalid(program.At("data.args", i), "write a number that fits", "%s is %.40s, which is no %s", program.At("data.args", i), args[i], t)
		}
	}
	return words, nil
}

// text returns a number's digits, whether or not they were quoted.
func text(raw json.RawMessage) string {
	if word, ok := program.AsWord(raw); ok {
		return word
	}
	return string(bytes.TrimSpace(raw))
}

// parameter reads one number. Integers may be signed or unsigned.
func parameter(t isa.ValueType, s string) (word uint64, ok bool) {
	switch t {
	case isa.I32:
		return integer(s, 32)
	case isa.I64:
		return integer(s, 64)
	case isa.F32:
		f, err := strconv.ParseFloat(s, 32)
		if math.IsNaN(f) {
			return 0x7fc00000, err == nil // the canonical one
		}
		return uint64(math.Float32bits(float32(f))), err == nil
	case isa.F64:
		f, err := strconv.ParseFloat(s, 64)
		if math.IsNaN(f) {
			return 0x7ff8000000000000, err == nil
		}
		return math.Float64bits(f), err == nil
	}
	return 0, false
}

func integer(s string, bits int) (word uint64, ok bool) {
	if v, err := strconv.ParseInt(s, 10, bits); err == nil {
		return uint64(v) & (1<<bits - 1), true
	}
	v, err := strconv.ParseUint(s, 10, bits)
	return v, err == nil
}

func isWholeNumber(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}

// callable says why values of these types cannot go in or out of a function.
func callable(f *convert.FuncType) error {
	for _, types := range [][]isa.ValueType{f.Params, f.Results} {
		for _, t := range types {
			if t != isa.I32 && t != isa.I64 && t != isa.F32 && t != isa.F64 {
				return invalid("data.function", "call a function of numbers", "the function takes or returns a %s, which cannot be written as a number", t)
			}
		}
	}
	return nil
}

// values turns the words a function returned into JSON. The compiler leaves
// anything in the upper half of 32-bit words.
func values(f *convert.FuncType, words []uint64) []json.RawMessage {
	all := make([]json.RawMessage, len(f.Results))
	for i, t := range f.Results {
		switch w := words[i]; t {
		case isa.I32:
			all[i] = strconv.AppendInt(nil, int64(int32(w)), 10)
		case isa.I64:
			all[i] = fmt.Appendf(nil, `"%d"`, int64(w))
		case isa.F32:
			all[i] = float(float64(math.Float32frombits(uint32(w))), 32)
		default:
			all[i] = float(math.Float64frombits(w), 64)
		}
	}
	return all
}

// float writes the shortest number that is read back as v.
func float(v float64, bits int) json.RawMessage {
	switch {
	case math.IsNaN(v):
		return json.RawMessage(`"NaN"`)
	case math.IsInf(v, 1):
		return json.RawMessage(`"Infinity"`)
	case math.IsInf(v, -1):
		return json.RawMessage(`"-Infinity"`)
	}
	return strconv.AppendFloat(nil, v, 'g', -1, bits)
}
