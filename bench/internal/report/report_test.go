package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/bench/internal/report"
)

// TestVerdicts: a figure on the bar passes, one beyond it falls short.
func TestVerdicts(t *testing.T) {
	r := report.New()
	r.Row(report.AtMost("low", "2", "1", 2, 2, "x"), report.AtMost("high", "2", "1", 2.01, 2, "x"),
		report.AtLeast("enough", "2", "1", 2, 2, "x"), report.AtLeast("little", "2", "1", 1.99, 2, "x"))
	if r.Short() != 2 {
		t.Errorf("%d rows fall short, want 2", r.Short())
	}
	var text, asJSON bytes.Buffer
	if err := r.Write(&text, false); err != nil || strings.Count(text.String(), "FAIL") != 2 || strings.Count(text.String(), "pass") != 2 {
		t.Errorf("%v\n%s", err, text.String())
	}
	var back report.Report
	if err := r.Write(&asJSON, true); err != nil || json.Unmarshal(asJSON.Bytes(), &back) != nil || len(back.Rows) != 4 || back.Short() != 2 {
		t.Errorf("%v\n%s", err, asJSON.String())
	}
}

// TestVerdict: a failure and a row that falls short end a program with 1 and are
// told; a quick run may fall short.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name  string
		short int
		quick bool
		err   error
		code  int
		says  string
	}{
		{"good", 0, false, nil, 0, ""},
		{"short", 2, false, nil, 1, "floor: 2 rows fall short\n"},
		{"short but quick", 2, true, nil, 0, ""},
		{"failed", 0, true, errors.New("no disk"), 1, "floor: no disk\n"},
	} {
		var w bytes.Buffer
		if code := report.Verdict(&w, "floor", c.short, c.quick, c.err); code != c.code || w.String() != c.says {
			t.Errorf("%s: code %d, says %q", c.name, code, &w)
		}
	}
}
