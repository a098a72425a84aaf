package storage

import (
	"testing"
	"time"

	"github.com/tenzro/tenzro/core"
)

// TestCursor: a cursor comes back as it was, and nothing else is one.
func TestCursor(t *testing.T) {
	c := Cursor{Used: time.Unix(1, 5), ID: core.ObjectOf([]byte("x"))}
	back, err := ParseCursor(c.String())
	if err != nil || !back.Used.Equal(c.Used) || back.ID != c.ID {
		t.Errorf("%s comes back as %s, %v", c, back, err)
	}
	for _, bad := range []string{"", "-", "1-", "x-" + c.ID.String(), "01-" + c.ID.String(), "1-" + c.ID.String() + "0", "1e3-" + c.ID.String()} {
		if _, err := ParseCursor(bad); core.KindOf(err) != core.Invalid {
			t.Errorf("ParseCursor(%q) = %v, want invalid", bad, err)
		}
	}
}

// FuzzParseCursor: what is taken has one form.
func FuzzParseCursor(f *testing.F) {
	f.Add(Cursor{Used: time.Unix(1, 5), ID: core.ObjectOf(nil)}.String())
	f.Add("-1-00")
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := ParseCursor(s); err == nil && c.String() != s {
			t.Errorf("%q is taken as %s", s, c)
		}
	})
}
