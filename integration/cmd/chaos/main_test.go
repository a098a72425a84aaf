package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/integration/chaos"
)

// Wrong flags end with code 2 and say what is wrong; help names every scenario.
func TestFlags(t *testing.T) {
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-help"}, exitHeld, "Scenarios:"},
		{[]string{"-scenario", "peace"}, exitUsage, `no scenario "peace"`},
		{[]string{"-scenario", "workers", "-faults", "bogus"}, exitUsage, "-faults: scenario workers has no faults to choose from"},
		{[]string{"-scenario", "mixed", "-faults", "kill-worker,kill-"}, exitUsage, `knows no fault "kill-"; there are [kill-worker freeze-worker`},
		{[]string{"-scenario", "loss", "-faults", "50"}, exitUsage, "there are [10 30 1mbit]"},
		{[]string{"-o", "xml"}, exitUsage, "text or json"},
		{[]string{"-jobs", "-1"}, exitUsage, "-jobs is negative"},
		{[]string{"-cpu", "fast"}, exitUsage, "invalid value"},
		{[]string{"workers"}, exitUsage, `"workers" is no flag`},
		{[]string{"-nonsense"}, exitUsage, "not defined"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), tc.args, &out, &errs); code != tc.code {
			t.Errorf("%v ends with %d, not %d", tc.args, code, tc.code)
		}
		if !strings.Contains(errs.String(), tc.says) || out.Len() > 0 {
			t.Errorf("%v says %q and prints %q", tc.args, &errs, &out)
		}
	}
	var help bytes.Buffer
	run(t.Context(), []string{"-help"}, &help, &help)
	for _, s := range chaos.Scenarios() {
		if !strings.Contains(help.String(), s.About()) {
			t.Errorf("the help does not speak of %s", s.Name())
		}
	}
}
