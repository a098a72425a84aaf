package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Key is one setting: a row of the table that Keys returns.
type Key struct {
	Path    string   // name in the file, sections joined by dots: "p2p.port"
	Flag    string   // name on the command line of `run`, without dashes
	Arg     string   // what stands for the value in help; empty for a switch
	Default string   // the default in text form; a list is comma-separated
	Doc     string   // one line: what it is, its unit and what special values mean
	Alias   string   // a second variable that sets it, weaker than Env; empty for none
	OneOf   []string // the only texts allowed; empty for any
	Min     int64    // smallest number allowed; Min and Max both 0 mean any
	Max     int64    // largest number allowed
	NoFile  bool     // cannot be set in the file

	bind func(*Settings) any // pointer to the field the value goes to
	kind any                 // what bind returned once: its type is the value's
	env  string              // the variable that sets it
}

// Env returns the variable that sets k: TENZRO_ and the flag in upper case.
func (k Key) Env() string { return k.env }

// IsList reports whether k takes several values.
func (k Key) IsList() bool {
	_, ok := k.kind.(*[]string)
	return ok
}

// IsSwitch reports whether k is true or false.
func (k Key) IsSwitch() bool {
	_, ok := k.kind.(*bool)
	return ok
}

// parse turns raw, as it came from a flag, a variable or YAML, into a value of
// k's type and checks its bounds.
func (k Key) parse(raw any) (any, error) {
	switch k.kind.(type) {
	case *[]string:
		return list(raw)
	case *bool:
		return boolean(raw)
	case *time.Duration:
		return k.duration(raw)
	case *int, *int64:
		return k.number(raw)
	}
	return k.text(raw)
}

func (k Key) text(raw any) (string, error) {
	s, err := scalar(raw)
	if err != nil {
		return "", err
	}
	if len(k.OneOf) == 0 {
		return s, nil
	}
	if s = strings.ToLower(s); !slices.Contains(k.OneOf, s) {
		allowed := slices.DeleteFunc(slices.Clone(k.OneOf), func(o string) bool { return o == "" })
		return "", fmt.Errorf("%s is none of %s", quote(s), strings.Join(allowed, ", "))
	}
	return s, nil
}

func (k Key) number(raw any) (int64, error) {
	s, err := scalar(raw)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is not a whole number", quote(s))
	}
	if (k.Min != 0 || k.Max != 0) && (n < k.Min || n > k.Max) {
		return 0, fmt.Errorf("%d is not in %d to %d", n, k.Min, k.Max)
	}
	return n, nil
}

func (k Key) duration(raw any) (time.Duration, error) {
	s, err := scalar(raw)
	if err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%s is not a time such as 500ms, 15s or 2m", quote(s))
	}
	if d < time.Duration(k.Min) || d > time.Duration(k.Max) {
		return 0, fmt.Errorf("%s is not in %s to %s", d, time.Duration(k.Min), time.Duration(k.Max))
	}
	return d, nil
}

func boolean(raw any) (bool, error) {
	s, err := scalar(raw)
	if err != nil {
		return false, err
	}
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, fmt.Errorf("%s is neither true nor false", quote(s))
}

// list accepts a YAML list, repeated flags and comma-separated text.
func list(raw any) ([]string, error) {
	items, ok := raw.([]any)
	if !ok {
		if texts, isTexts := raw.([]string); isTexts {
			raw = strings.Join(texts, ",")
		}
		items = []any{raw}
	}
	out := []string{}
	for _, item := range items {
		s, err := scalar(item)
		if err != nil {
			return nil, err
		}
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	if len(out) > maxListItems {
		return nil, fmt.Errorf("%d values; at most %d are taken", len(out), maxListItems)
	}
	return out, nil
}

// scalar returns the text of a single value. A flag that was repeated counts
// with its last value, as everywhere else.
func scalar(raw any) (string, error) {
	switch v := raw.(type) {
	case string:
		return strings.TrimSpace(v), nil
	case []string:
		if len(v) > 0 {
			return strings.TrimSpace(v[len(v)-1]), nil
		}
		return "", nil
	case bool, int, int64, uint64, float64:
		return fmt.Sprint(v), nil
	}
	return "", fmt.Errorf("a single value is needed, not a list or a section")
}

// quote shows a value somebody else wrote: quoted, control characters escaped,
// and never long.
func quote(s string) string {
	if len(s) > 60 {
		s = s[:60] + "..."
	}
	return strconv.Quote(s)
}
