package archtest

import (
	"go/ast"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// section returns the lines of the page under a heading.
func section(page, heading string) string {
	_, rest, _ := strings.Cut(page, "\n## "+heading+"\n")
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// declared returns what the packages declare at the top, as "dir.Name" and for
// methods and fields "dir.Type.Name", tests apart.
func declared(t tree) map[string]bool {
	out := map[string]bool{}
	for _, f := range t.files {
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			for _, name := range namesOf(d) {
				out[f.dir+"."+name] = true
			}
		}
	}
	return out
}

func namesOf(d ast.Decl) (out []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return []string{d.Name.Name}
		}
		return []string{receiverName(d.Recv.List[0].Type) + "." + d.Name.Name}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				out = append(out, s.Name.Name)
			case *ast.ValueSpec:
				for _, n := range s.Names {
					out = append(out, n.Name)
				}
			}
		}
	}
	return out
}

// receiverName is the type of a receiver without pointer and parameters.
func receiverName(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.StarExpr:
		return receiverName(x.X)
	case *ast.IndexExpr:
		return receiverName(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}

// TestNameMap: whatever docs/architecture.md says the design documents' modules and
// classes are called here exists under that name, and the modules that they list
// are among them.
//
// spec 2.36 2.37
func TestNameMap(t *testing.T) {
	raw, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	src, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	have, text := declared(src), section(string(raw), "Names of the design documents")
	span := regexp.MustCompile("`([a-z][a-z0-9/]*\\.[A-Z][A-Za-z.]*)`")
	var named []string
	for _, m := range span.FindAllStringSubmatch(text, -1) {
		if named = append(named, m[1]); !have[m[1]] {
			t.Errorf("docs/architecture.md names %s, which is not declared", m[1])
		}
	}
	for _, module := range []string{"p2p.Host", "registry/presence.Finder", "gossip.Router", "registry.Table", "jobs/dispatch.Dispatcher",
		"roles/regional.Validator", "registry.Reputation", "registry.Regions"} {
		if !slices.Contains(named, module) {
			t.Errorf("docs/architecture.md does not say that %s is a module of the documents", module)
		}
	}
}

// TestRooms: the table of rooms lists packages that exist, with names they declare.
func TestRooms(t *testing.T) {
	raw, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	src, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	have, rooms := declared(src), 0
	for line := range strings.Lines(section(string(raw), "Rooms")) {
		cells := strings.Split(line, "|")
		pkg := strings.Trim(cells[min(1, len(cells)-1)], " `")
		if len(cells) < 4 || strings.ContainsAny(pkg, ", -") || pkg == "package" {
			continue // the head, or several packages in one row
		}
		rooms++
		for name := range strings.FieldsSeq(strings.Trim(cells[len(cells)-2], " `")) {
			if !have[path.Clean(pkg)+"."+name] {
				t.Errorf("docs/architecture.md says that %s holds %s; it does not", pkg, name)
			}
		}
	}
	if rooms < 10 {
		t.Errorf("only %d rooms were read", rooms)
	}
}
