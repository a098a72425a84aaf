package vector

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestReference runs every example of docs/compute.md, and finds every operation
// there under the heading of its class with all its parameters.
//
// spec 0.61 0.62
func TestReference(t *testing.T) {
	text, err := os.ReadFile("../../docs/compute.md")
	if err != nil {
		t.Fatal(err)
	}
	v := New()
	rows := regexp.MustCompile("(?m)^\\| `([\"{].*?)` \\| (?:stay|become|an integer).*\\| `(\\[.*?\\])` \\| `(.*?)` \\|$")
	refused := regexp.MustCompile("(?m)^\\| `({\"input\".*?)` \\| `(.*?)` \\|$")
	seen := map[string]bool{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		title := strings.ToLower(section)
		for _, row := range rows.FindAllStringSubmatch(section, -1) {
			data := `{"input":` + row[2] + `,"operations":[` + row[1] + `]}`
			if got := run(t, v, data); got != row[3] {
				t.Errorf("%s gives %s, the reference says %s", data, got, row[3])
				continue
			}
			p, err := v.decode([]byte(data))
			if err != nil {
				t.Fatal(err)
			}
			op := p.steps[0].op
			if !strings.HasPrefix(title, op.class.String()) {
				t.Errorf("%s stands under %.20s", op.name, title)
			}
			for _, param := range op.params {
				if !strings.Contains(row[0], "`"+param.name+"`") && !strings.Contains(row[1], `"`+param.name+`"`) {
					t.Errorf("%s does not mention its parameter %s", op.name, param.name)
				}
			}
			if becomes := op.after(shape{}, &p.steps[0].args).float; becomes && strings.Contains(row[0], "| stay |") {
				t.Errorf("%s does not keep integers", op.name)
			}
			seen[op.name] = true
		}
		refusals := refused.FindAllStringSubmatch(section, -1)
		if strings.HasPrefix(title, "what is refused") && len(refusals) < 10 {
			t.Errorf("only %d refusals were found", len(refusals))
		}
		for _, row := range refusals {
			if _, err := v.Check(json.RawMessage(row[1])); describeOr(err) != "invalid "+row[2] {
				t.Errorf("%s: %v, the reference says %s", row[1], err, row[2])
			}
		}
	}
	for _, name := range v.Operations() {
		if !seen[name] {
			t.Errorf("the reference lacks %s", name)
		}
	}
	if got := run(t, v, `{"input":[1,2,3],"partial":true,"operations":["square","stddev"]}`); !strings.Contains(string(text), got) {
		t.Errorf("the reference does not show the summary %s", got)
	}
}
