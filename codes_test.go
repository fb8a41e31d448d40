package vitrine_test

import (
	"encoding/json"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// explained are the types of codes that tell people why something is so: the keys of each code's texts in the console, where * stands for the
// code, and the page of the documentation that has it.
var explained = []struct{ file, of, keys, page string }{
	{"flow/facts.go", "Reason", "reason.*.name reason.*.why", "docs/reason-codes.md"},
	{"event/body.go", "CoverageReason", "coverage.reason.*.name coverage.reason.*.do", "docs/coverage.md"},
	{"event/body.go", "CoverageCause", "coverage.cause.*", ""},
	{"event/body.go", "CoverageState", "coverage.*", ""},
	{"server/api/system.go", "Off", "off.*", ""},
	{"source/probe/kernel.go", "Lack", "coverage.lack.*", ""},
	{"source/probe/kernel.go", "lossReasons", "coverage.loss.*", ""},
	{"internal/governor/machine.go", "Cause", "coverage.*", ""},
}

// TestCodesAreExplained wants every code that the server knows told in both languages of the console, and on its page.
func TestCodesAreExplained(t *testing.T) {
	for _, language := range []string{"en", "zh"} {
		text, err := os.ReadFile(filepath.Join("web/src/i18n", language+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var catalogue map[string]any
		if err := json.Unmarshal(text, &catalogue); err != nil {
			t.Fatal(err)
		}
		for _, e := range explained {
			for _, code := range codes(t, e.file, e.of) {
				for key := range strings.FieldsSeq(strings.ReplaceAll(e.keys, "*", code)) {
					if !hasText(catalogue, strings.Split(key, ".")) {
						t.Errorf("%s of %s: %s.json has no text %s", code, e.file, language, key)
					}
				}
			}
		}
	}
	for _, e := range explained {
		if e.page == "" {
			continue
		}
		page, err := os.ReadFile(e.page)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range codes(t, e.file, e.of) {
			if !strings.Contains(string(page), "`"+code+"`") {
				t.Errorf("%s of %s is not in %s", code, e.file, e.page)
			}
		}
	}
}

// codes returns the values of the constants of the type in the file, or those of the list of the name.
func codes(t *testing.T, file, of string) (all []string) {
	t.Helper()
	for _, s := range ourSources(t) {
		if s.path != file {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if of == spec.Names[0].Name || isNamed(spec.Type, of) {
				ast.Inspect(spec, func(n ast.Node) bool {
					if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
						code, _ := strconv.Unquote(l.Value)
						all = append(all, code)
					}
					return true
				})
			}
			return false
		})
	}
	if len(all) < 2 {
		t.Fatalf("%s has no codes %s", file, of)
	}
	return all
}

func isNamed(e ast.Expr, name string) bool {
	i, ok := e.(*ast.Ident)
	return ok && i.Name == name
}

// hasText tells whether a catalogue has a text at the path.
func hasText(catalogue map[string]any, path []string) bool {
	at := any(catalogue)
	for _, name := range path {
		inner, _ := at.(map[string]any)
		at = inner[name]
	}
	text, _ := at.(string)
	return text != ""
}
