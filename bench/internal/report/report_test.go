package report_test

import (
	"bytes"
	"encoding/json"
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
