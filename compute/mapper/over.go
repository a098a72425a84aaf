package mapper

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/jobs/template"
	"github.com/tenzro/tenzro/wire"
)

// overData says what to map over, by exactly one of the first three fields.
type overData struct {
	List  json.RawMessage `json:"list,omitempty"`
	Lines *string         `json:"lines,omitempty"`
	CSV   *string         `json:"csv,omitempty"`
	// Per makes one item of so many elements, lines or rows.
	Per *int `json:"per,omitempty"`
	// Base64: an item of lines is the base64 of its text.
	Base64 bool `json:"base64,omitempty"`
	// Header: the first row names the columns, and rows are objects.
	Header bool `json:"header,omitempty"`
}

// items returns what to map over, each as JSON.
func (o overData) items() ([][]byte, error) {
	given, per := 0, 1
	for _, there := range []bool{o.List != nil, o.Lines != nil, o.CSV != nil} {
		if there {
			given++
		}
	}
	if o.Per != nil {
		per = *o.Per
	}
	switch {
	case given != 1:
		return nil, invalid("data.over", "must have exactly one of list, lines and csv")
	case per < 1 || per > MaxItems:
		return nil, invalid("data.over.per", "is %d; it must be 1 to %d", per, MaxItems)
	case o.Base64 && o.Lines == nil:
		return nil, invalid("data.over.base64", "goes with lines only")
	case o.Header && o.CSV == nil:
		return nil, invalid("data.over.header", "goes with csv only")
	}
	var items [][]byte
	var err error
	switch {
	case o.Lines != nil:
		items = o.lines(per)
	case o.CSV != nil:
		items, err = o.rows()
	default:
		var isList bool
		if items, _, isList = template.Elements(o.List, core.MaxTaskBytes); !isList { // a list has fewer elements than bytes
			return nil, invalid("data.over.list", "is not a list")
		}
	}
	if err == nil && o.Per != nil && o.Lines == nil {
		items = grouped(items, per)
	}
	return counted(items, err)
}

func counted(items [][]byte, err error) ([][]byte, error) {
	switch {
	case err != nil:
		return nil, err
	case len(items) == 0:
		return nil, invalid("data.over", "is empty; there is nothing to map over")
	case len(items) > MaxItems:
		return nil, invalid("data.over", "has %d items; at most %d", len(items), MaxItems).WithHint("make an item of several with per")
	}
	return items, nil
}

// grouped makes lists of so many items each.
func grouped(items [][]byte, per int) [][]byte {
	var out [][]byte
	for len(items) > 0 {
		n := min(per, len(items))
		out = append(out, listOf(items[:n]))
		items = items[n:]
	}
	return out
}

// listOf writes items as a list.
func listOf(items [][]byte) []byte {
	out := []byte{'['}
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	return append(out, ']')
}

// lines cuts a text at its line feeds. One line is given without, several with
// them.
func (o overData) lines(per int) (items [][]byte) {
	var text strings.Builder
	n := 0
	for line := range strings.Lines(*o.Lines) {
		if o.Per == nil {
			line = strings.TrimSuffix(line, "\n")
		}
		text.WriteString(line)
		if n++; n%per == 0 {
			items = append(items, o.text(text.String()))
			text.Reset()
		}
	}
	if n%per != 0 {
		items = append(items, o.text(text.String()))
	}
	return items
}

func (o overData) text(text string) []byte {
	if o.Base64 {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	return quoted(text)
}

// quoted writes a text as JSON, with nothing escaped that need not be.
func quoted(text string) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // a string is always encoded
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}

// rows reads a table as RFC 4180 has it.
func (o overData) rows() (items [][]byte, err error) {
	r := csv.NewReader(strings.NewReader(*o.CSV))
	var names []string
	for {
		row, err := r.Read()
		var bad *csv.ParseError
		switch {
		case err == io.EOF:
			return items, nil
		case errors.As(err, &bad):
			return nil, invalid("data.over.csv", "is no table at line %d: %v", bad.Line, bad.Err)
		case err != nil:
			return nil, invalid("data.over.csv", "is no table: %v", err)
		case o.Header && names == nil:
			if names, err = header(row); err != nil {
				return nil, err
			}
			continue
		}
		items = append(items, rowOf(names, row))
	}
}

func header(row []string) ([]string, error) {
	seen := map[string]bool{}
	for _, name := range row {
		if name == "" || seen[name] {
			return nil, invalid("data.over.csv", "has a column %.40q without a name of its own", name)
		}
		seen[name] = true
	}
	return append([]string(nil), row...), nil
}

// rowOf writes a row: an object if its columns have names, else a list.
func rowOf(names, row []string) []byte {
	cells := make([][]byte, len(row))
	for i, cell := range row {
		cells[i] = cellOf(cell)
		if names != nil {
			cells[i] = append(append(quoted(names[i]), ':'), cells[i]...)
		}
	}
	out := listOf(cells)
	if names != nil {
		out[0], out[len(out)-1] = '{', '}'
	}
	return out
}

// cellOf writes a cell: what is a JSON number is one, everything else a text.
func cellOf(cell string) []byte {
	var n json.Number
	if cell != "" && strings.Trim(cell, "+-.0123456789eE") == "" && wire.DecodeStrict([]byte(cell), &n) == nil {
		return []byte(cell)
	}
	return quoted(cell)
}
