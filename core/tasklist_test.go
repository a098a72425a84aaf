package core

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestCursor: a place in a list survives its text, to the nanosecond, and nothing
// else is taken for one.
//
// spec 2.66
func TestCursor(t *testing.T) {
	c := Cursor{Created: time.Date(2026, 11, 20, 9, 0, 0, 123456789, time.UTC), ID: "us-east-01890a5d-ac96-774b-bcce-b302099a8057"}
	got, err := ParseCursor(c.String())
	if err != nil || !got.Created.Equal(c.Created) || got.ID != c.ID {
		t.Fatalf("%+v became %+v, %v", c, got, err)
	}
	for name, text := range map[string]string{
		"empty": "", "no base64": "not a cursor!", "padded": c.String() + "=", "cut": c.String()[:20],
		"another version": "Mi4xLmE",                          // 2.1.a
		"no id":           "MS4xLg",                           // 1.1.
		"a bad id":        "MS4xLmEvYg",                       // 1.1.a/b
		"no number":       "MS54LmE",                          // 1.x.a
		"two forms":       "MS4wMS5h",                         // 1.01.a
		"very long":       strings.Repeat("a", 1<<20),         //
		"beyond int64":    "MS45OTk5OTk5OTk5OTk5OTk5OTk5OS5h", // 1.99999999999999999999.a
	} {
		if got, err := ParseCursor(text); !errors.Is(err, Invalid) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// FuzzCursor: whatever is taken for a cursor is written the same again.
func FuzzCursor(f *testing.F) {
	f.Add(Cursor{Created: time.Unix(0, 1).UTC(), ID: "a"}.String())
	f.Add("MS4wMS5h")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseCursor(text); err == nil && c.String() != text {
			t.Errorf("%q became %q", text, c.String())
		}
	})
}

// TestTaskFilter: every field is checked and named.
func TestTaskFilter(t *testing.T) {
	tests := []struct {
		name  string
		edit  func(*TaskFilter)
		field string // "" for a good filter
	}{
		{"the least", func(*TaskFilter) {}, ""},
		{"all of it", func(f *TaskFilter) {
			*f = TaskFilter{Status: TaskRunning, Type: "compute", Region: "us-east", After: Cursor{ID: "a"}.String(), Limit: MaxTaskList}
		}, ""},
		{"unknown state", func(f *TaskFilter) { f.Status = "done" }, "status"},
		{"bad type", func(f *TaskFilter) { f.Type = "a b" }, "type"},
		{"bad region", func(f *TaskFilter) { f.Region = "US" }, "region"},
		{"bad cursor", func(f *TaskFilter) { f.After = "x" }, "after"},
		{"none", func(f *TaskFilter) { f.Limit = 0 }, "limit"},
		{"too many", func(f *TaskFilter) { f.Limit = MaxTaskList + 1 }, "limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := TaskFilter{Limit: 1}
			tt.edit(&f)
			err := f.Validate()
			var e *Error
			if errors.As(err, &e); (tt.field == "") != (err == nil) || err != nil && e.Op != tt.field {
				t.Errorf("%v", err)
			}
		})
	}
}
