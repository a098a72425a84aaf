package core

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// TestOutputCursor: what String writes is read again; anything else is refused.
func TestOutputCursor(t *testing.T) {
	for _, c := range []struct {
		name, text string
		ok         bool
		subtasks   int
	}{
		{"nothing", "", true, 0},
		{"one", "0:ff:10:0", true, 1},
		{"two", "1:ff:10:0,4095:1:0:9223372036854775807", true, 2},
		{"one twice", "1:ff:10:0,1:ff:10:0", false, 0},
		{"no run", "1::10:0", false, 0},
		{"too few words", "1:1:10", false, 0},
		{"too many words", "1:1:10:0:0", false, 0},
		{"a subtask below 0", "-1:1:10:0", false, 0},
		{"a subtask too high", "4096:1:10:0", false, 0},
		{"an offset below 0", "1:1:-1:0", false, 0},
		{"an offset too high", "1:1:9223372036854775808:0", false, 0},
		{"an end", "end", false, 0},
		{"a comma too many", "0:ff:10:0,", false, 0},
		{"too many", strings.Repeat("0:1:0:0,", maxCursor) + "1:1:0:0", false, 0},
		{"very long", strings.Repeat(",", 1<<20), false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseOutputCursor(c.text)
			if (err == nil) != c.ok || len(got) != c.subtasks || err != nil && (KindOf(err) != Invalid || len(err.Error()) > 200) {
				t.Fatalf("%v, %v", got, err)
			}
			if c.ok && got.String() != c.text {
				t.Errorf("again %s", got)
			}
		})
	}
}

// TestLongCursor names the last subtasks only, so that it stays short.
func TestLongCursor(t *testing.T) {
	c := OutputCursor{}
	for i := range 2 * maxCursor {
		c[i] = OutputFrom{Subtask: i, Run: 1<<64 - 1, Stdout: 1<<63 - 1, Stderr: 1<<63 - 1}
	}
	text := c.String()
	got, err := ParseOutputCursor(text)
	if err != nil || len(got) != maxCursor || got[2*maxCursor-1] != c[2*maxCursor-1] || len(text) > 64*maxCursor {
		t.Errorf("%d subtasks in %d bytes, %v", len(got), len(text), err)
	}
}

// FuzzOutputCursor: what is accepted is written and read as the same.
func FuzzOutputCursor(f *testing.F) {
	f.Add("")
	f.Add("0:ff:10:0,3:1:0:7")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseOutputCursor(text)
		if err != nil {
			return
		}
		again, err := ParseOutputCursor(c.String())
		if err != nil || !maps.Equal(c, again) {
			t.Error(fmt.Errorf("%s: %w", c, err))
		}
	})
}
