package convert_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// value is a value of a script; Value is a string, or a list of lanes.
type value struct {
	Type     string
	LaneType string `json:"lane_type"`
	Value    any
}

func hasReference(values []value) bool {
	return slices.ContainsFunc(values, func(v value) bool { return strings.HasSuffix(v.Type, "ref") })
}

// words returns v as the engine passes it.
func (v value) words() []uint64 {
	if v.Type != "v128" {
		return []uint64{v.word()}
	}
	out := make([]uint64, 2)
	lanes, width := v.lanes()
	for i, l := range lanes {
		n, _ := number(l, width)
		out[i*width/64] |= n << (i * width % 64)
	}
	return out
}

// word returns a scalar. wazero's references are opaque and 0 is null, so the
// numbers of externref are moved by one.
func (v value) word() uint64 {
	s, ok := v.Value.(string)
	switch {
	case !ok || s == "null":
		return 0
	case v.Type == "externref":
		n, _ := number(s, 64)
		return n + 1
	}
	n, _ := number(s, bits(v.Type))
	return n
}

func (v value) lanes() (lanes []string, width int) {
	for _, l := range v.Value.([]any) {
		lanes = append(lanes, l.(string))
	}
	return lanes, bits(v.LaneType)
}

func bits(kind string) int {
	n, _ := strconv.Atoi(strings.TrimLeft(kind, "if"))
	return n
}

// number parses signed or unsigned decimals; false for nan:canonical and
// nan:arithmetic, which are patterns.
func number(s string, width int) (uint64, bool) {
	if n, err := strconv.ParseUint(s, 10, width); err == nil {
		return n, true
	}
	n, err := strconv.ParseInt(s, 10, width)
	return uint64(n) & (math.MaxUint64 >> (64 - width)), err == nil
}

// match compares results with what is expected. A NaN the conversion has made
// canonical is the positive canonical one, whichever of the two patterns stands
// there; a NaN that arithmetic passes on unchanged counts as both.
func match(want []value, got []uint64) error {
	for _, w := range want {
		n := len(w.words())
		if len(got) < n {
			return fmt.Errorf("too few results, want %v", want)
		}
		if err := w.match(got[:n]); err != nil {
			return err
		}
		got = got[n:]
	}
	if len(got) > 0 {
		return fmt.Errorf("results too many: %x", got)
	}
	return nil
}

func (v value) match(got []uint64) error {
	switch {
	case v.Value == nil && strings.HasSuffix(v.Type, "ref"): // any reference
		return nil
	case v.Type == "v128":
		lanes, width := v.lanes()
		for i, l := range lanes {
			if err := matchNumber(l, width, got[i*width/64]>>(i*width%64)); err != nil {
				return fmt.Errorf("lane %d: %w", i, err)
			}
		}
		return nil
	case strings.HasSuffix(v.Type, "ref"):
		if got[0] != v.word() {
			return fmt.Errorf("got reference %d, want %v", got[0], v.Value)
		}
		return nil
	}
	return matchNumber(v.Value.(string), bits(v.Type), got[0])
}

func matchNumber(want string, width int, got uint64) error {
	got &= math.MaxUint64 >> (64 - width)
	n, ok := number(want, width)
	if !ok {
		n = 0x7fc00000
		if width == 64 {
			n = 0x7ff8000000000000
		}
		if sign := uint64(1) << (width - 1); got == n|sign { // neg and copysign of it
			return nil
		}
	}
	if got != n {
		return fmt.Errorf("got %#x, want %s", got, want)
	}
	return nil
}
