package vitrine_test

import (
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPackagesAreDocumented(t *testing.T) {
	for _, p := range ourPackages(t) {
		if p.Name == "main" {
			name := filepath.Base(p.path())
			if !strings.HasPrefix(p.Doc, "Command "+name+" ") {
				t.Errorf("%s: the package comment must begin with \"Command %s\"", p.path(), name)
			}
		} else if len(p.GoFiles) > 0 && !strings.HasPrefix(p.Doc, "Package "+p.Name+" ") {
			t.Errorf("%s: the package comment must begin with \"Package %s\"", p.path(), p.Name)
		}
		if slices.Contains([]string{"util", "utils", "common", "helpers", "manager", "misc"}, p.Name) {
			t.Errorf("%s: name the package after what it is about", p.path())
		}
	}
}

// unfinished matches the words of work that was left for later.
var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

func TestNothingIsLeftForLater(t *testing.T) {
	for _, s := range ourSources(t) {
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				if word := unfinished.FindString(c.Text); word != "" {
					t.Errorf("%s:%d: %s", s.path, s.line(c.Pos()), word)
				}
			}
		}
	}
}

func TestNoInit(t *testing.T) {
	for _, s := range ourSources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s:%d: func init", s.path, s.line(f.Pos()))
			}
		}
	}
}

// TestSkipsAreCounted finds tests that skip by themselves: only testkit.Skip obeys VITRINE_REQUIRE=all. What `go test -short`
// leaves out is left out on purpose.
func TestSkipsAreCounted(t *testing.T) {
	for _, s := range ourSources(t) {
		if strings.HasPrefix(s.path, "internal/testkit/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.IfStmt:
				return !isShort(n.Cond)
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
					break
				}
				if x, ok := sel.X.(*ast.Ident); ok && x.Name != "testkit" {
					t.Errorf("%s:%d: %s.%s instead of testkit.Skip", s.path, s.line(n.Pos()), x.Name, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// isShort tells whether a condition is testing.Short().
func isShort(cond ast.Expr) bool {
	call, ok := cond.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Short"
}

// impure are the packages that reach outside; of time, only the clock and timers do.
var impure = map[string][]string{
	"os": nil, "os/exec": nil, "os/signal": nil, "net": nil, "net/http": nil, "syscall": nil, "log": nil, "log/slog": nil, "math/rand": nil, "math/rand/v2": nil,
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
}

// TestParsersArePure finds I/O, clocks and goroutines in what must depend on its input alone.
func TestParsersArePure(t *testing.T) {
	for _, s := range ourSources(t) {
		if s.test || !strings.HasPrefix(s.path, "parse/") || strings.HasPrefix(s.path, "parse/parsetest/") {
			continue
		}
		for _, i := range s.file.Imports {
			name := strings.Trim(i.Path.Value, `"`)
			if only, ok := impure[name]; ok && only == nil {
				t.Errorf("%s imports %s", s.path, name)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s:%d: a goroutine", s.path, s.line(n.Pos()))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(impure["time"], n.Sel.Name) {
					t.Errorf("%s:%d: time.%s", s.path, s.line(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestParsersAreTested finds parsers without playbooks or a fuzz target.
func TestParsersAreTested(t *testing.T) {
	exempt := []string{"parse/all", "parse/parsetest", "parse/content", "parse/mail"} // not protocols
	for _, p := range ourPackages(t) {
		if !strings.HasPrefix(p.path(), "parse/") || slices.Contains(exempt, p.path()) {
			continue
		}
		if !hasPlaybook(p.Dir) {
			t.Errorf("%s has no playbook in testdata", p.path())
		}
		if !hasFuzzTarget(t, p.path()) {
			t.Errorf("%s has no fuzz target", p.path())
		}
	}
}

func hasPlaybook(dir string) (found bool) {
	_ = filepath.WalkDir(filepath.Join(dir, "testdata"), func(path string, _ fs.DirEntry, _ error) error {
		found = found || filepath.Ext(path) == ".txtar"
		return nil
	})
	return found
}

func hasFuzzTarget(t *testing.T, dir string) bool {
	return slices.ContainsFunc(ourSources(t), func(s *source) bool {
		return s.test && filepath.Dir(s.path) == dir && slices.ContainsFunc(s.file.Decls, func(d ast.Decl) bool {
			f, ok := d.(*ast.FuncDecl)
			return ok && strings.HasPrefix(f.Name.Name, "Fuzz")
		})
	})
}

// TestNoMutableGlobals finds package variables that code assigns to, outside tests.
func TestNoMutableGlobals(t *testing.T) {
	vars := map[string]bool{} // folder and name
	for _, s := range ourSources(t) {
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
				for _, spec := range g.Specs {
					for _, name := range spec.(*ast.ValueSpec).Names {
						vars[filepath.Dir(s.path)+" "+name.Name] = name.Name != "_"
					}
				}
			}
		}
	}
	for _, s := range ourSources(t) {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			a, ok := n.(*ast.AssignStmt)
			if !ok || a.Tok == token.DEFINE {
				return true
			}
			for _, left := range a.Lhs {
				// Obj is nil for a name of another file; names of this one are resolved, so that a local is told from a global.
				if id, ok := left.(*ast.Ident); ok && vars[filepath.Dir(s.path)+" "+id.Name] && (id.Obj == nil || s.file.Scope.Lookup(id.Name) == id.Obj) {
					t.Errorf("%s:%d: assigns to the package variable %s", s.path, s.line(id.Pos()), id.Name)
				}
			}
			return true
		})
	}
}

func TestLicence(t *testing.T) {
	text, err := os.ReadFile("LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Apache License\n                           Version 2.0, January 2004", "END OF TERMS AND CONDITIONS"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("LICENSE lacks %q", want)
		}
	}
}
