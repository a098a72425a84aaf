package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// checkPackageComments wants three lines that say what the package is.
func checkPackageComments(t tree) (bad []string) {
	dirs, byDir := t.packages()
	for _, dir := range dirs {
		files := byDir[dir]
		if product := slices.DeleteFunc(slices.Clone(files), func(f *source) bool { return f.test }); len(product) > 0 {
			files = product
		}
		most := 0
		for _, f := range files {
			if text := strings.TrimSpace(f.ast.Doc.Text()); text != "" {
				most = max(most, strings.Count(text, "\n")+1)
			}
		}
		if most < 3 {
			bad = append(bad, fmt.Sprintf("%s: the package comment has %d lines, want 3 or more: what it is, what it is not, what it guarantees", dir, most))
		}
	}
	return bad
}

// checkInit refuses func init: nothing happens by being imported.
func checkInit(t tree) (bad []string) {
	for _, f := range t.files {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				bad = append(bad, f.complain(fn.Pos(), "func init"))
			}
		}
	}
	return bad
}

// checkMain keeps main.go a door, not a room.
func checkMain(t tree) []string {
	if n := t.lines["main.go"]; n > 20 {
		return []string{fmt.Sprintf("main.go: %d lines, at most 20", n)}
	}
	return nil
}

// checkGlobals refuses package-level variables other than values that nobody
// changes.
func checkGlobals(t tree) (bad []string) {
	for _, f := range t.files {
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.VAR || constant(decl.Doc) {
				continue
			}
			for _, s := range decl.Specs {
				bad = append(bad, checkVar(f, s.(*ast.ValueSpec))...)
			}
		}
	}
	return bad
}

func checkVar(f *source, spec *ast.ValueSpec) (bad []string) {
	if constant(spec.Doc) || embedded(spec) {
		return nil
	}
	for i, name := range spec.Names {
		if name.Name == "_" || i < len(spec.Values) && immutable(name.Name, spec.Values[i]) {
			continue
		}
		bad = append(bad, f.complain(name.Pos(), "package-level variable %s: make it a function or a constant, or mark a value nobody changes with //archtest:constant on the line above", name.Name))
	}
	return bad
}

func constant(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return c.Text == "//archtest:constant" })
}

func embedded(spec *ast.ValueSpec) bool {
	sel, ok := spec.Type.(*ast.SelectorExpr)
	return ok && callee(sel) == "embed.FS"
}

// immutable reports whether value is a sentinel error or a compiled regexp.
func immutable(name string, value ast.Expr) bool {
	call, ok := value.(*ast.CallExpr)
	if !ok {
		return false
	}
	switch fn := callee(call.Fun); fn {
	case "regexp.MustCompile", "regexp.MustCompilePOSIX":
		return true
	case "errors.New", "fmt.Errorf", "core.Errorf", "Errorf":
		return strings.HasPrefix(name, "Err") || strings.HasPrefix(name, "err")
	}
	// core.Errorf(...).WithHint(...)
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "WithHint" && immutable(name, sel.X)
}

// callee returns "pkg.Name" or "Name", "" for anything else.
func callee(fun ast.Expr) string {
	switch e := fun.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			return x.Name + "." + e.Sel.Name
		}
	}
	return ""
}

// checkPanic refuses panic outside tests unless a comment says why it cannot
// happen.
func checkPanic(t tree) (bad []string) {
	for _, f := range t.files {
		if f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if ok && callee(call.Fun) == "panic" && !f.noted(call.Pos(), "// impossible:") {
				bad = append(bad, f.complain(call.Pos(), "panic: return an error, or say why it cannot happen in a comment that starts with \"// impossible:\""))
			}
			return true
		})
	}
	return bad
}

// checkSleep refuses time.Sleep, in tests too: a test that sleeps is slow or
// flaky. In a synctest bubble time is virtual and sleeping is exact; one test
// file of a package may open the bubbles for all of them.
func checkSleep(t tree) (bad []string) {
	bubbles := map[string]bool{}
	for _, f := range t.files {
		bubbles[f.dir] = bubbles[f.dir] || f.test && f.name("testing/synctest") != ""
	}
	for _, f := range t.files {
		name := f.name("time")
		if name == "" || f.test && bubbles[f.dir] {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if ok && callee(sel) == name+".Sleep" {
				bad = append(bad, f.complain(sel.Pos(), "time.Sleep outside a synctest bubble: wait for what happens, with a deadline"))
			}
			return true
		})
	}
	return bad
}

// checkNames refuses packages named after nothing.
func checkNames(t tree) (bad []string) {
	dirs, _ := t.packages()
	for _, dir := range dirs {
		for _, name := range strings.Split(dir, "/") {
			switch name {
			case "util", "utils", "common", "helper", "helpers", "types", "models":
				bad = append(bad, fmt.Sprintf("%s: a package named %q says nothing: name it after what it is", dir, name))
			}
		}
	}
	return bad
}
