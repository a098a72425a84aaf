package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	ucli "github.com/urfave/cli/v2"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/cli/client"
)

const (
	flagOutput  = "output"
	formatTable = "table"
	formatJSON  = "json"
)

func outputFlag() ucli.Flag {
	return &ucli.StringFlag{Name: flagOutput, Aliases: []string{"o"}, Value: formatTable, Usage: "`FORMAT` of the result: table or json"}
}

// asJSON reports whether JSON was asked for.
func asJSON(c *ucli.Context) (bool, error) {
	switch c.String(flagOutput) {
	case formatJSON:
		return true, nil
	case formatTable:
		return false, nil
	}
	return false, usagef("use -o table or -o json", "output format %q is unknown", c.String(flagOutput))
}

// grid is a table to print: header may be empty.
type grid struct {
	header []string
	rows   [][]string
}

func (g *grid) add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = clean(fmt.Sprint(c))
	}
	g.rows = append(g.rows, row)
}

// show prints an answer of the node: unchanged but indented as JSON, or as the
// grid that draw makes of it.
func show[T any](s *shell, c *ucli.Context, answer json.RawMessage, draw func(T) grid) error {
	wantJSON, err := asJSON(c)
	if err != nil {
		return err
	}
	if wantJSON {
		return s.printJSON(answer)
	}
	value, err := client.Decode[T](answer)
	if err != nil {
		return err
	}
	return s.printGrid(draw(value))
}

// showValue is show for a value made here.
func showValue[T any](s *shell, c *ucli.Context, value T, draw func(T) grid) error {
	answer, err := json.Marshal(value)
	if err != nil {
		return core.Errorf(core.Internal, "encode", "encoding the result: %w", err)
	}
	return show(s, c, answer, draw)
}

func (s *shell) printJSON(answer json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, answer, "", "  "); err != nil {
		return core.Errorf(core.Corrupt, "output", "the result is not JSON: %w", err)
	}
	b.WriteByte('\n')
	_, err := s.Out.Write(b.Bytes())
	return err
}

func (s *shell) printGrid(g grid) error {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatUpper
	t.SetStyle(style)
	if len(g.header) > 0 {
		t.AppendHeader(cells(g.header))
	}
	for _, r := range g.rows {
		t.AppendRow(cells(r))
	}
	for line := range strings.SplitSeq(t.Render(), "\n") {
		if _, err := fmt.Fprintln(s.Out, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

func cells(words []string) table.Row {
	row := make(table.Row, len(words))
	for i, w := range words {
		row[i] = w
	}
	return row
}

// clean makes a text from elsewhere safe for a terminal: what does not print is
// shown as a question mark, a line break or tab as a space.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}

func percent(share float64) string { return fmt.Sprintf("%.0f%%", share*100) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
