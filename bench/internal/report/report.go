// Package report is what a benchmark found: rows that are held to a bar, tables
// of plain figures, and the machine they were measured on, as text or JSON.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/tenzro/tenzro/bench/internal/measure"
)

// Row is one figure that has a bar.
type Row struct {
	Name      string  `json:"row"`
	Measured  string  `json:"measured"`
	Yardstick string  `json:"yardstick"` // what it is held against; "-" for nothing
	Ratio     float64 `json:"ratio"`     // the number that is compared with the bar
	Bar       string  `json:"bar"`
	Pass      bool    `json:"pass"`
}

// AtMost makes a row that passes when ratio does not exceed bar.
func AtMost(name, measured, yardstick string, ratio, bar float64, unit string) Row {
	return Row{Name: name, Measured: measured, Yardstick: yardstick, Ratio: ratio, Bar: fmt.Sprintf("<= %g%s", bar, unit), Pass: ratio <= bar}
}

// AtLeast makes a row that passes when ratio reaches bar.
func AtLeast(name, measured, yardstick string, ratio, bar float64, unit string) Row {
	return Row{Name: name, Measured: measured, Yardstick: yardstick, Ratio: ratio, Bar: fmt.Sprintf(">= %g%s", bar, unit), Pass: ratio >= bar}
}

// Table is figures without a bar.
type Table struct {
	Title string     `json:"title"`
	Head  []string   `json:"head"`
	Lines [][]string `json:"lines"`
}

// Add appends a line of cells.
func (t *Table) Add(cells ...any) {
	line := make([]string, len(cells))
	for i, c := range cells {
		line[i] = fmt.Sprint(c)
	}
	t.Lines = append(t.Lines, line)
}

// Report is everything one run found.
type Report struct {
	Machine   measure.Machine `json:"machine"`
	LoadStart string          `json:"loadStart"` // 1, 5 and 15 minutes
	LoadEnd   string          `json:"loadEnd"`
	Tables    []*Table        `json:"tables"`
	Rows      []Row           `json:"rows"`
}

// New begins a report now.
func New() *Report {
	return &Report{Machine: measure.ThisMachine(), LoadStart: measure.Load(), Rows: []Row{}, Tables: []*Table{}}
}

// Table adds an empty table.
func (r *Report) Table(title string, head ...string) *Table {
	t := &Table{Title: title, Head: head, Lines: [][]string{}}
	r.Tables = append(r.Tables, t)
	return t
}

// Row adds rows.
func (r *Report) Row(rows ...Row) { r.Rows = append(r.Rows, rows...) }

// Short returns how many rows fall short.
func (r *Report) Short() (n int) {
	for _, row := range r.Rows {
		if !row.Pass {
			n++
		}
	}
	return n
}

// Verdict says on w what a run came to when it is not good, and returns the exit
// code of the program of that name: 1 when the run failed, or when short rows fall
// short, which a quick run may.
func Verdict(w io.Writer, program string, short int, quick bool, err error) (code int) {
	switch {
	case err != nil:
		fmt.Fprintf(w, "%s: %v\n", program, err)
		return 1
	case short > 0 && !quick:
		fmt.Fprintf(w, "%s: %d rows fall short\n", program, short)
		return 1
	}
	return 0
}

// Write ends the report and prints it.
func (r *Report) Write(w io.Writer, asJSON bool) error {
	r.LoadEnd = measure.Load()
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	fmt.Fprintf(w, "%s, %d CPUs, %s\nload average at the start %s, at the end %s\n", r.Machine.Model, r.Machine.CPUs, r.Machine.Go, r.LoadStart, r.LoadEnd)
	for _, t := range r.Tables {
		fmt.Fprintf(w, "\n%s\n", t.Title)
		columns(w, t.Head, t.Lines)
	}
	if len(r.Rows) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	lines := make([][]string, len(r.Rows))
	for i, row := range r.Rows {
		verdict := "pass"
		if !row.Pass {
			verdict = "FAIL"
		}
		lines[i] = []string{row.Name, row.Measured, row.Yardstick, fmt.Sprintf("%.3g", row.Ratio), row.Bar, verdict}
	}
	columns(w, []string{"row", "measured", "yardstick", "ratio", "bar", ""}, lines)
	return nil
}

func columns(w io.Writer, head []string, lines [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range append([][]string{head}, lines...) {
		fmt.Fprintln(t, "  "+strings.Join(line, "\t"))
	}
	_ = t.Flush() // w's own errors show where w is used next
}
