package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// module is the import path of the repository's root.
const module = "github.com/tenzro/tenzro"

// source is one parsed Go file.
type source struct {
	path string // slash-separated, relative to the root
	dir  string // its package's directory, "." for the root
	test bool   // whether its name ends in _test.go
	ast  *ast.File
	fset *token.FileSet
}

// tree is every Go file of the module.
type tree struct {
	files []*source
	lines map[string]int // path -> number of lines
}

// load parses every Go file under root. It leaves out what the Go tool leaves
// out (testdata, names that start with '.' or '_') and modules of their own.
func load(root fs.FS) (tree, error) {
	t := tree{lines: map[string]int{}}
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return skip(root, p)
		case strings.HasSuffix(p, ".go") && !strings.ContainsAny(path.Base(p)[:1], "._"):
			return t.add(root, p)
		}
		return nil
	})
	return t, err
}

func skip(root fs.FS, dir string) error {
	if dir == "." {
		return nil
	}
	base := path.Base(dir)
	if base == "testdata" || base == "node_modules" || strings.ContainsAny(base[:1], "._") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func (t *tree) add(root fs.FS, p string) error {
	text, err := fs.ReadFile(root, p)
	if err != nil {
		return err
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parsing %s: %w", p, err)
	}
	t.files = append(t.files, &source{path: p, dir: path.Dir(p), test: strings.HasSuffix(p, "_test.go"), ast: f, fset: fset})
	t.lines[p] = strings.Count(strings.TrimSuffix(string(text), "\n"), "\n") + 1
	return nil
}

// packages returns the files by directory and the directories in order.
func (t tree) packages() (dirs []string, byDir map[string][]*source) {
	byDir = map[string][]*source{}
	for _, f := range t.files {
		if byDir[f.dir] == nil {
			dirs = append(dirs, f.dir)
		}
		byDir[f.dir] = append(byDir[f.dir], f)
	}
	slices.Sort(dirs)
	return dirs, byDir
}

// imports returns the import paths of f.
func (f *source) imports() []string {
	out := make([]string, 0, len(f.ast.Imports))
	for _, spec := range f.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value) // the parser checked it
		out = append(out, p)
	}
	return out
}

// name returns how f calls the package with the given import path, whose default
// name must be its last element; "" when it does not import it.
func (f *source) name(importPath string) string {
	for _, spec := range f.ast.Imports {
		if p, _ := strconv.Unquote(spec.Path.Value); p != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

func (f *source) line(pos token.Pos) int { return f.fset.Position(pos).Line }

// complain formats a violation at pos.
func (f *source) complain(pos token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: ", f.path, f.line(pos)) + fmt.Sprintf(format, args...)
}

// noted reports whether a comment that starts with mark stands on the line of
// pos or ends on the line above it.
func (f *source) noted(pos token.Pos, mark string) bool {
	line := f.line(pos)
	for _, group := range f.ast.Comments {
		if end := f.line(group.End()); end != line && end != line-1 {
			continue
		}
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, mark) {
				return true
			}
		}
	}
	return false
}

// internalDir returns the directory of an import path of this module.
func internalDir(importPath string) (dir string, ok bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// longestPrefix returns the row of table whose key is dir or a parent of it.
func longestPrefix[T any](table map[string]T, dir string) (row T, ok bool) {
	for p := dir; ; p = path.Dir(p) {
		if row, ok = table[p]; ok || p == "." || p == "/" {
			return row, ok
		}
	}
}

// under reports whether dir is parent or inside it.
func under(dir, parent string) bool {
	return dir == parent || strings.HasPrefix(dir, parent+"/")
}
