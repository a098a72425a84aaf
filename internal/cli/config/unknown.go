package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/internal/nearest"
)

// unknownKeys returns an error for each key of the file that nothing reads. A
// section that was left empty is fine.
func unknownKeys(path string, values map[string]any) []error {
	names := fileNames()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		inSection := slices.Contains(names.sections, name)
		if slices.Contains(names.paths, name) || inSection && values[name] == nil {
			continue
		}
		what := ""
		switch {
		case name == "home":
			what = "cannot be set in a file, which lies in it"
		case inSection:
			what = "is a section; put its keys on lines of their own, indented"
		default:
			what = "is unknown; " + names.meant(name)
		}
		errs = append(errs, core.Errorf(core.Invalid, name, "%s: key %s %s", path, quote(name), what).
			WithHint("correct or remove the key; docs/configuration.md lists all of them"))
	}
	return errs
}

// vocabulary is what may stand in a file.
type vocabulary struct {
	paths    []string          // whole keys: "p2p.port"
	sections []string          // their first parts: "p2p"
	flags    map[string]string // the keys by their flags: "p2p-port"
}

func fileNames() vocabulary {
	k := vocabulary{flags: map[string]string{}}
	for _, key := range table {
		if key.NoFile {
			continue
		}
		k.paths = append(k.paths, key.Path)
		k.flags[key.Flag] = key.Path
		if section, _, ok := strings.Cut(key.Path, delim); ok && !slices.Contains(k.sections, section) {
			k.sections = append(k.sections, section)
		}
	}
	return k
}

// meant returns the end of the message about the unknown key name: the key that
// was probably meant, by its section, its path or its flag, or else where to look.
func (k vocabulary) meant(name string) string {
	section, key, inner := strings.Cut(name, delim)
	near, ok := nearest.Word(section, k.sections)
	if ok && inner {
		return k.within(near, key)
	}
	if path, ok := nearest.Word(name, k.paths); ok {
		return "did you mean " + path + "?"
	}
	flags := slices.Sorted(maps.Keys(k.flags))
	for _, word := range []string{name, section} { // "http.addr" is thought of as --http
		if flag, ok := nearest.Word(word, flags); ok {
			return "did you mean " + k.flags[flag] + "?"
		}
	}
	if ok {
		return "did you mean the section " + near + "?"
	}
	return "the sections are " + strings.Join(k.sections, ", ")
}

// within suggests a key of section, which exists.
func (k vocabulary) within(section, key string) string {
	var keys []string
	for _, p := range k.paths {
		if rest, ok := strings.CutPrefix(p, section+delim); ok {
			keys = append(keys, rest)
		}
	}
	if near, ok := nearest.Word(key, keys); ok {
		return "did you mean " + section + delim + near + "?"
	}
	return "the keys of " + section + " are " + strings.Join(keys, ", ")
}
