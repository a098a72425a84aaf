package mapper

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/tenzro/tenzro/compute"
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

// items returns what to map over, each as JSON: at most MaxItems, of at most
// core.MaxTaskBytes together.
func (o overData) items() ([][]byte, error) {
	given, c := 0, collector{per: 1, grouped: o.Per != nil}
	for _, there := range []bool{o.List != nil, o.Lines != nil, o.CSV != nil} {
		if there {
			given++
		}
	}
	if o.Per != nil {
		c.per = *o.Per
	}
	switch {
	case given != 1:
		return nil, compute.Invalid("data.over", "must have exactly one of list, lines and csv")
	case c.per < 1 || c.per > MaxItems:
		return nil, compute.Invalid("data.over.per", "is %d; it must be 1 to %d", c.per, MaxItems)
	case o.Base64 && o.Lines == nil:
		return nil, compute.Invalid("data.over.base64", "goes with lines only")
	case o.Header && o.CSV == nil:
		return nil, compute.Invalid("data.over.header", "goes with csv only")
	}
	collect := o.list
	switch {
	case o.Lines != nil:
		collect = o.lines
	case o.CSV != nil:
		collect = o.rows
	}
	if err := collect(&c); err != nil {
		return nil, err
	}
	if len(c.items) == 0 {
		return nil, compute.Invalid("data.over", "is empty; there is nothing to map over")
	}
	return c.items, nil
}

func (o overData) list(c *collector) (err error) {
	isList := template.Range(o.List, func(element []byte) bool {
		err = c.element(element)
		return err == nil
	})
	if !isList {
		return compute.Invalid("data.over.list", "is not a list")
	}
	if err != nil {
		return err
	}
	return c.close()
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
func (o overData) lines(c *collector) error {
	var text strings.Builder
	n := 0
	for line := range strings.Lines(*o.Lines) {
		if o.Per == nil {
			line = strings.TrimSuffix(line, "\n")
		}
		text.WriteString(line)
		if n++; n%c.per != 0 {
			continue
		}
		if err := c.add(o.text(text.String())); err != nil {
			return err
		}
		text.Reset()
	}
	if n%c.per == 0 {
		return nil
	}
	return c.add(o.text(text.String()))
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
func (o overData) rows(c *collector) error {
	r := csv.NewReader(strings.NewReader(*o.CSV))
	var names []string
	for {
		row, err := r.Read()
		var bad *csv.ParseError
		switch {
		case err == io.EOF:
			return c.close()
		case errors.As(err, &bad):
			return compute.Invalid("data.over.csv", "is no table at line %d: %v", bad.Line, bad.Err)
		case err != nil:
			return compute.Invalid("data.over.csv", "is no table: %v", err)
		case o.Header && names == nil:
			names, err = header(row)
		default:
			err = c.element(rowOf(names, row))
		}
		if err != nil {
			return err
		}
	}
}

func header(row []string) ([]string, error) {
	seen := map[string]bool{}
	for _, name := range row {
		if name == "" || seen[name] {
			return nil, compute.Invalid("data.over.csv", "has a column %.40q without a name of its own", name)
		}
		seen[name] = true
	}
	return append([]string(nil), row...), nil
}

// rowOf writes a row: an object if its columns have names, else a list. A row that
// is too long for a task is not written to its end.
func rowOf(names, row []string) []byte {
	out, end := []byte{'['}, byte(']')
	if names != nil {
		out, end = []byte{'{'}, '}'
	}
	for i, cell := range row {
		if i > 0 {
			out = append(out, ',')
		}
		if names != nil {
			out = append(append(out, quoted(names[i])...), ':')
		}
		if out = append(out, cellOf(cell)...); len(out) > core.MaxTaskBytes {
			break
		}
	}
	return append(out, end)
}

// cellOf writes a cell: what is a JSON number is one, everything else a text.
func cellOf(cell string) []byte {
	var n json.Number
	if cell != "" && strings.Trim(cell, "+-.0123456789eE") == "" && wire.DecodeStrict([]byte(cell), &n) == nil {
		return []byte(cell)
	}
	return quoted(cell)
}
