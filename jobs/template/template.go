package template

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// Hole is a place in a task's data where a value has to go.
type Hole struct {
	begin, end int // bytes of the reference
	Reference
}

// Reference says which value: exactly one of From, Item and Index is set.
type Reference struct {
	From  string `json:"$from"`  // the result of what has this name
	Item  bool   `json:"$item"`  // the element of a list
	Index bool   `json:"$index"` // its place, from 0
	Path  string `json:"path"`   // a JSON pointer into the value
}

// Template is a task's data with its holes, in order.
type Template struct {
	Text  []byte
	Holes []Hole
}

// Parse finds the references in text, JSON that was read strictly. An
// object is a reference if it has one of the keys, written without escapes.
func Parse(text []byte) (Template, error) {
	t := Template{Text: text}
	if !bytes.Contains(text, []byte(`"$`)) {
		return t, nil
	}
	var bad error
	var walk func(at int) int
	walk = func(at int) int {
		if text[at] == '{' && isReference(text, at) {
			end := valueEnd(text, at)
			ref, err := parseReference(text[at:end])
			if err != nil && bad == nil {
				bad = err
			}
			t.Holes = append(t.Holes, Hole{at, end, ref})
			return end
		}
		if text[at] == '{' || text[at] == '[' {
			return each(text, at, func(_ []byte, at int) int { return walk(at) })
		}
		return valueEnd(text, at)
	}
	walk(space(text, 0))
	return t, bad
}

func isReference(b []byte, at int) (yes bool) {
	each(b, at, func(key []byte, at int) int {
		switch string(key) {
		case `"$from"`, `"$item"`, `"$index"`:
			yes = true
		}
		return valueEnd(b, at)
	})
	return yes
}

func parseReference(b []byte) (Reference, error) {
	var r Reference
	err := wire.DecodeStrictClosed(b, &r)
	kinds := 0
	for _, set := range []bool{r.From != "", r.Item, r.Index} {
		if set {
			kinds++
		}
	}
	switch {
	case err != nil:
		return r, core.Errorf(core.Invalid, "", "the reference %.60s is wrong: %w", b, err).WithHint(referenceHint)
	case kinds != 1:
		return r, core.Errorf(core.Invalid, "", "the reference %.60s names no step and is not true", b).WithHint(referenceHint)
	case r.Index && r.Path != "":
		return r, core.Errorf(core.Invalid, "", "the reference %.60s has a path into a number", b).WithHint(referenceHint)
	}
	return r, CheckPath(r.Path)
}

const referenceHint = `write {"$from":"step"}, {"$item":true} or {"$index":true}; "path" may name a part`

// Local reports whether the reference means something only inside a map.
func (r Reference) Local() bool { return r.From == "" }

// Closed returns t without the holes that mean something only inside a map: they
// stay as they are, for whoever reads the data next.
func (t Template) Closed() Template {
	return Template{Text: t.Text, Holes: slices.DeleteFunc(slices.Clone(t.Holes), func(h Hole) bool { return h.Local() })}
}

// Fill puts values into the holes that value knows (others stay) and returns what
// came of it. More than core.MaxTaskBytes is core.Exhausted.
func (t Template) Fill(value func(Reference) (text []byte, known bool, err error)) (Template, error) {
	if len(t.Holes) == 0 {
		return t, nil
	}
	var out Template
	last := 0
	for _, h := range t.Holes {
		text, known, err := value(h.Reference)
		if err != nil {
			return Template{}, err
		}
		out.Text = append(out.Text, t.Text[last:h.begin]...)
		last = h.begin
		if known {
			out.Text = append(out.Text, text...)
			last = h.end
		} else {
			at := len(out.Text)
			out.Holes = append(out.Holes, Hole{at, at + h.end - h.begin, h.Reference})
		}
		if err := fits(len(out.Text)); err != nil {
			return Template{}, err
		}
		if !known {
			out.Text = append(out.Text, t.Text[h.begin:h.end]...)
			last = h.end
		}
	}
	out.Text = append(out.Text, t.Text[last:]...)
	return out, fits(len(out.Text))
}

func fits(n int) error {
	if n > core.MaxTaskBytes {
		return core.Errorf(core.Exhausted, "data", "its data would have more than %d bytes", core.MaxTaskBytes)
	}
	return nil
}

// Fixed returns how many bytes of t are in whatever is put together: all but the
// references.
func (t Template) Fixed() int {
	n := len(t.Text)
	for _, h := range t.Holes {
		n -= h.end - h.begin
	}
	return n
}

// MaxScan is how many bytes of an item Element looks through at most: about a second.
const MaxScan = 1 << 30

// Scan returns how many bytes are looked through at most to put parts of items that
// have n bytes together into t: every path begins at the beginning.
func (t Template) Scan(n int) int64 {
	paths := int64(0)
	for _, h := range t.Holes {
		if h.Item && h.Path != "" {
			paths++
		}
	}
	return paths * int64(n)
}

// Element returns the data of one element of a map. More than MaxScan is
// core.Exhausted.
func (t Template) Element(item []byte, index int) ([]byte, error) {
	if scan := t.Scan(len(item)); scan > MaxScan {
		return nil, core.Errorf(core.Exhausted, "data", "its paths would look through %d bytes; at most %d are allowed", scan, MaxScan)
	}
	out, err := t.Fill(func(r Reference) ([]byte, bool, error) {
		if r.Index {
			return strconv.AppendInt(nil, int64(index), 10), true, nil
		}
		part, err := Resolve(item, r.Path)
		if err != nil {
			err = fmt.Errorf("element %d: %w", index, err)
		}
		return part, true, err
	})
	return out.Text, err
}

// Sources returns the names that the holes refer to, each once.
func (t Template) Sources() (out []string) {
	for _, h := range t.Holes {
		if !h.Local() && !slices.Contains(out, h.From) {
			out = append(out, h.From)
		}
	}
	return out
}
