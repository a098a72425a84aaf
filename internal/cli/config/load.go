package config

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"

	"github.com/tenzro/tenzro/core"
	"github.com/tenzro/tenzro/node"
)

// FileName is the file read from the home directory when none is named.
const FileName = "config.yaml"

// FlagConfig is the flag that names the file to read.
const FlagConfig = "config"

const (
	delim         = "."
	originDefault = "default"
)

// Source is everything settings may come from.
type Source struct {
	Flags    map[string][]string // the flags that were given, by name, with each of their values
	Env      Environment
	UserHome string // what "~" stands for
}

// Value is one setting as it was decided.
type Value struct {
	Key    Key
	Value  any    // string, bool, int64, time.Duration or []string
	Origin string // "default", "file PATH", ".env NAME", "environment NAME" or "flag --NAME"
}

// Loaded is a configuration without errors.
type Loaded struct {
	Config node.Config
	Values []Value // in the order of Keys
	File   string  // the file that was read, empty for none
}

// layer is one place of settings: values by path, and how the place is named
// in messages.
type layer struct {
	values map[string]any
	origin func(k Key) string
}

// Load reads all places and returns the configuration they give together. Its
// error joins everything that is wrong, each a *core.Error; the Op of a bad flag
// starts with "--".
func Load(src Source) (*Loaded, error) {
	home, err := Home(src)
	if err != nil {
		return nil, err
	}
	path, err := findFile(src, home)
	if err != nil {
		return nil, err
	}
	text, err := []byte(nil), error(nil)
	if path != "" {
		text, err = readBounded(path)
	}
	return merge(src, home, path, text, err)
}

// merge is Load without a disk: text is what the file at path has, or fileErr
// says why it cannot be read.
func merge(src Source, home, path string, text []byte, fileErr error) (*Loaded, error) {
	errs := src.Env.unknown()
	file, fileErrs := fileLayer(path, text, fileErr)
	errs = append(errs, fileErrs...)
	l := &loader{merged: map[string]any{}, origins: map[string]string{}, errs: errs}
	for _, part := range []layer{defaultLayer(home), file, dotEnvLayer(src.Env), envLayer(src.Env), flagLayer(src.Flags)} {
		l.add(part)
	}
	out := l.finish(home)
	out.File = path
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	return out, nil
}

// loader merges layers, each stronger than the one before it.
type loader struct {
	merged  map[string]any // values by path
	origins map[string]string
	errs    []error
}

// add parses the values of one layer and puts them over the earlier ones.
func (l *loader) add(part layer) {
	if len(part.values) == 0 {
		return
	}
	for _, k := range table {
		raw, ok := part.values[k.Path]
		if !ok || raw == nil {
			continue
		}
		value, err := k.parse(raw)
		origin := part.origin(k)
		if err != nil {
			l.fail(k.Path, origin, err)
			continue
		}
		l.merged[k.Path], l.origins[k.Path] = value, origin
	}
}

// fail records that the value of path, set at origin, is wrong.
func (l *loader) fail(path, origin string, err error) {
	op := path
	if flag, ok := strings.CutPrefix(origin, "flag "); ok {
		op = flag
	}
	hint := "correct it there; docs/configuration.md lists what is allowed"
	var known *core.Error
	if errors.As(err, &known) && known.Hint != "" {
		hint = known.Hint
	}
	l.errs = append(l.errs, core.Errorf(core.Invalid, op, "%s (%s): %w", path, origin, err).WithHint(hint))
}

// finish fills the settings; home stands for what was set, with "~" resolved.
func (l *loader) finish(home string) *Loaded {
	out, settings := &Loaded{}, &Settings{}
	for _, k := range table {
		value := l.merged[k.Path]
		if value == nil { // its default did not parse: reported already
			continue
		}
		if k.Path == "home" {
			value = home
		}
		settings.set(k, value)
		out.Values = append(out.Values, Value{Key: k, Value: value, Origin: l.origins[k.Path]})
	}
	settings.resolve(func(path string, err error) { l.fail(path, l.origins[path], err) })
	out.Config = settings.Node
	return out
}

// Home returns the home directory alone, for commands that need nothing else.
// It comes from the flag, TENZRO_HOME or the default, never from the file in it.
func Home(src Source) (string, error) {
	home := table[0].Default
	if v, _, ok := src.Env.Get(table[0].Env()); ok {
		home = v
	}
	if v := src.Flags["home"]; len(v) > 0 {
		home = v[len(v)-1]
	}
	if home == "~" || strings.HasPrefix(home, "~/") {
		if src.UserHome == "" {
			return "", core.Errorf(core.Invalid, "--home", "the home directory of this user is not known").
				WithHint("name a directory with --home or TENZRO_HOME")
		}
		home = filepath.Join(src.UserHome, home[1:])
	}
	if home == "" {
		return "", core.Errorf(core.Invalid, "--home", "the home directory is empty").WithHint("name a directory with --home or TENZRO_HOME")
	}
	return filepath.Abs(home)
}

// findFile returns the file to read: the one that was named, which must exist,
// or the one in home, which may be missing.
func findFile(src Source, home string) (string, error) {
	named, _, _ := src.Env.Get(EnvConfig)
	if v := src.Flags[FlagConfig]; len(v) > 0 {
		named = v[len(v)-1]
	}
	path := cmp.Or(named, filepath.Join(home, FileName))
	_, err := os.Stat(path)
	switch {
	case err == nil:
		return path, nil
	case named == "" && errors.Is(err, fs.ErrNotExist):
		return "", nil
	}
	return "", core.Errorf(core.Invalid, "--config", "configuration file %s cannot be read: %w", path, err).
		WithHint("correct --config or TENZRO_CONFIG, or write the file with `tenzro init`")
}

func defaultLayer(home string) layer {
	values := map[string]any{}
	for _, k := range table {
		values[k.Path] = k.Default
	}
	values["home"] = home
	return layer{values, func(Key) string { return originDefault }}
}

// dotEnvLayer and envLayer give each key its own variable before its alias.
func dotEnvLayer(e Environment) layer { return varLayer(e.dotEnv, dotEnvFile+" ") }

func envLayer(e Environment) layer { return varLayer(e.process, "environment ") }

func varLayer(vars map[string]string, where string) layer {
	values, names := map[string]any{}, map[string]string{}
	if len(vars) == 0 {
		return layer{values: values}
	}
	for _, k := range table {
		for _, name := range []string{k.Alias, k.Env()} {
			if v, ok := vars[name]; ok && name != "" {
				values[k.Path], names[k.Path] = v, name
			}
		}
	}
	return layer{values, func(k Key) string { return where + names[k.Path] }}
}

func flagLayer(flags map[string][]string) layer {
	values := map[string]any{}
	if len(flags) == 0 {
		return layer{values: values}
	}
	for _, k := range table {
		if v, ok := flags[k.Flag]; ok {
			values[k.Path] = v
		}
	}
	return layer{values, func(k Key) string { return "flag --" + k.Flag }}
}

// fileLayer reads the YAML text of the file at path, or reports why it could not
// be read; an empty path is an empty file.
func fileLayer(path string, text []byte, err error) (layer, []error) {
	part := layer{map[string]any{}, func(Key) string { return "file " + path }}
	if path == "" {
		return part, nil
	}
	if err == nil {
		part.values, err = flatten(text)
	}
	if err != nil {
		return part, []error{core.Errorf(core.Invalid, path, "reading %s: %w", path, err).
			WithHint("correct the file; `tenzro init` in another home writes a fresh one to compare with")}
	}
	return part, unknownKeys(path, part.values)
}

func flatten(text []byte) (map[string]any, error) {
	tree, err := yaml.Parser().Unmarshal(text)
	if err != nil {
		return nil, err
	}
	k := koanf.New(delim)
	if err := k.Load(confmap.Provider(tree, delim), nil); err != nil {
		return nil, err
	}
	return k.All(), nil
}
