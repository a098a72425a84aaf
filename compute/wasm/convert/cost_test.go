package convert

import (
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tenzro/tenzro/compute/wasm/isa"
)

// costRow is a row of the page's table of costs.
type costRow struct {
	globs []string
	cost  uint64
}

// TestCostPage keeps docs/spec/wasm-metering.md and the code equal.
func TestCostPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/spec/wasm-metering.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := costRows(string(page))
	for c := range 0x10000 {
		o := isa.Lookup(isa.Opcode(c))
		if o == nil {
			continue
		}
		if want, ok := priced(rows, o.Name); !ok || cost(o) != want {
			t.Errorf("%s costs %d, the page says %d", o.Name, cost(o), want)
		}
	}
	for what, number := range map[string]int{
		"fuel per page": pageCost, "stack": StackBudget, "slots": maxSlots, "leaf": leafSlots, "in MiB": MaxInput >> 20, "out MiB": MaxOutput >> 20,
		"types": maxTypes, "arity": maxArity, "functions": maxFunctions, "imports": maxImports, "exports": maxExports, "tables": maxTables,
		"locals": maxLocals, "nesting": maxNesting, "labels": maxLabels, "frames": StackBudget / frameWeight, "frame": frameWeight,
		"per unit": slotsPerUnit, "soft": softLimit,
	} {
		if !regexp.MustCompile(`\b` + thousands(number) + `\b`).Match(page) {
			t.Errorf("%s: the page does not say %s", what, thousands(number))
		}
	}
}

func costRows(page string) (rows []costRow) {
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 4 {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(cells[2]), 10, 32)
		if err != nil {
			continue // another table
		}
		rows = append(rows, costRow{strings.Fields(strings.ReplaceAll(cells[1], "`", "")), n})
	}
	return rows
}

func priced(rows []costRow, name string) (uint64, bool) {
	for _, r := range rows {
		for _, g := range r.globs {
			if ok, _ := path.Match(g, name); ok {
				return r.cost, true
			}
		}
	}
	return 0, false
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
