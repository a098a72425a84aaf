package p2p

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// TestDebt: what peers owe after offences at given times, and which of them bans.
// Times are seconds since the first; the last act of every row is the one judged.
func TestDebt(t *testing.T) {
	type act struct {
		at   float64
		o    Offence
		n    int
		bans bool
	}
	every := func(step float64, times, n int, o Offence) (out []act) {
		for i := range times {
			out = append(out, act{at: float64(i) * step, o: o, n: n})
		}
		return out
	}
	for name, acts := range map[string][]act{
		"one forgery":                          {{0, Forged, 1, false}},
		"nine forgeries at once":               {{0, Forged, 9, false}},
		"ten forgeries at once":                {{0, Forged, 10, true}},
		"ten frames that do not decode":        {{0, Malformed, 9, false}, {0, Malformed, 1, true}},
		"ten broken rules":                     {{0, Violation, 9, false}, {0, Violation, 1, true}},
		"all kinds add up":                     {{0, Forged, 4, false}, {0, Malformed, 3, false}, {0, Violation, 2, false}, {0, Misplaced, 599, false}, {0, Unknown, 9, false}, {0, Unknown, 1, true}},
		"a forgery a minute, for a day":        every(60, 24*60, 1, Forged),
		"a hundred unknown a second, an hour":  every(1, 3600, 100, Unknown),
		"ten misplaced a second, an hour":      every(1, 3600, 10, Misplaced),
		"unknown as fast as possible":          {{0, Unknown, 59_999, false}, {0, Unknown, 1, true}},
		"what is forgiven counts no more":      {{0, Forged, 9, false}, {540, Forged, 9, false}, {540, Forged, 1, true}},
		"clocks that go back forgive nothing":  {{100, Forged, 9, false}, {0, Forged, 1, true}},
		"a burst that a fail-over leaves":      {{0, Unknown, 3 * 4096, false}, {10, Unknown, 3 * 4096, false}},
		"banned once, whatever comes behind":   {{0, Forged, 10, true}, {0, Forged, 100, false}, {299, Forged, 100, false}},
		"out at once when it goes on after it": {{0, Forged, 10, true}, {300, Forged, 4, false}, {300, Forged, 1, true}},
		"clean ten minutes after":              {{0, Forged, 10, true}, {600, Forged, 9, false}, {600, Forged, 1, true}},
		"an absurd number does not overflow":   {{0, Violation, 1 << 62, true}, {900, Forged, 9, false}},
	} {
		t.Run(name, func(t *testing.T) {
			all, start := newDebtors(), time.Unix(1_000_000, 0)
			for i, a := range acts {
				now := start.Add(time.Duration(a.at * float64(time.Second)))
				if bans := all.charge("p", a.o.cost()*float64(a.n), now); bans != a.bans {
					t.Fatalf("act %d, %d times %s after %v s: banned %t; want %t (owes %v)", i, a.n, a.o, a.at, bans, a.bans, all.all["p"].debt)
				}
				if all.charge("other", 0, now) {
					t.Fatal("one pays for the other")
				}
			}
		})
	}
}

// TestDebtorsAreBounded: beyond the bound whoever owes nothing is forgotten, then
// whoever owes least; a peer with a large debt cannot wash it away with new names.
func TestDebtorsAreBounded(t *testing.T) {
	all, now := newDebtors(), time.Unix(1_000_000, 0)
	all.charge("guilty", 9*costGrave, now)
	name := func(i int) peer.ID { return peer.ID([]byte{byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range 2 * maxDebtors {
		all.charge(name(i), costGrave, now)
	}
	if len(all.all) != maxDebtors {
		t.Errorf("%d debtors are kept; the bound is %d", len(all.all), maxDebtors)
	}
	if !all.charge("guilty", costGrave, now) {
		t.Error("the debt of the guilty was forgotten for others'")
	}
	later := now.Add(time.Hour)
	all.charge("last", 1, later)
	if len(all.all) != 1 {
		t.Errorf("%d debtors are kept an hour later; want only the new one", len(all.all))
	}
}
