package workflow

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/wire"
)

// hole is a place in a task's data where a value has to go.
type hole struct {
	from, to int // bytes of the reference
	reference
}

// reference says which value: Exactly one of From, Item and Index is set.
type reference struct {
	From  StepID `json:"$from"`
	Item  bool   `json:"$item"`
	Index bool   `json:"$index"`
	Path  string `json:"path"`
}

// template is a task's data with its holes, in order.
type template struct {
	text  []byte
	holes []hole
}

// parseTemplate finds the references in text, JSON that was read strictly. An
// object is a reference if it has one of the keys, written without escapes.
func parseTemplate(text []byte) (template, error) {
	t := template{text: text}
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
			t.holes = append(t.holes, hole{at, end, ref})
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

func parseReference(b []byte) (reference, error) {
	var r reference
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
	return r, checkPath(r.Path)
}

const referenceHint = `write {"$from":"step"}, {"$item":true} or {"$index":true}; "path" may name a part`

// local reports whether the reference means something only inside a map.
func (r reference) local() bool { return r.From == "" }

// fill puts values into the holes that value knows (others stay) and returns what
// came of it. More than core.MaxTaskBytes is core.Exhausted.
func (t template) fill(value func(reference) (text []byte, known bool, err error)) (template, error) {
	if len(t.holes) == 0 {
		return t, nil
	}
	var out template
	last := 0
	for _, h := range t.holes {
		text, known, err := value(h.reference)
		if err != nil {
			return template{}, err
		}
		out.text = append(out.text, t.text[last:h.from]...)
		last = h.from
		if known {
			out.text = append(out.text, text...)
			last = h.to
		} else {
			at := len(out.text)
			out.holes = append(out.holes, hole{at, at + h.to - h.from, h.reference})
		}
		if err := fits(len(out.text)); err != nil {
			return template{}, err
		}
		if !known {
			out.text = append(out.text, t.text[h.from:h.to]...)
			last = h.to
		}
	}
	out.text = append(out.text, t.text[last:]...)
	return out, fits(len(out.text))
}

func fits(n int) error {
	if n > core.MaxTaskBytes {
		return core.Errorf(core.Exhausted, "data", "its data would have more than %d bytes", core.MaxTaskBytes)
	}
	return nil
}

// element returns the data of one element of a map.
func (t template) element(item []byte, index int) ([]byte, error) {
	out, err := t.fill(func(r reference) ([]byte, bool, error) {
		if r.Index {
			return strconv.AppendInt(nil, int64(index), 10), true, nil
		}
		part, err := resolve(item, r.Path)
		if err != nil {
			err = fmt.Errorf("element %d: %w", index, err)
		}
		return part, true, err
	})
	return out.text, err
}

// sources returns the steps that the holes name, each once.
func (t template) sources() (out []StepID) {
	for _, h := range t.holes {
		if !h.local() && !slices.Contains(out, h.From) {
			out = append(out, h.From)
		}
	}
	return out
}
