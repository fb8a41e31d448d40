package query

import (
	"os"
	"strings"
	"testing"
)

// TestDocumentation keeps docs/search-language.md true.
func TestDocumentation(t *testing.T) {
	b, err := os.ReadFile("../../docs/search-language.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	for _, a := range Aliases {
		_, row, found := strings.Cut(doc, "| `"+a.Name+"` | ")
		row, _, _ = strings.Cut(row, "\n")
		for _, f := range a.Fields {
			if !found || !strings.Contains(row, "`"+f+"`") {
				t.Errorf("the row of %s does not name %s", a.Name, f)
			}
		}
	}
	_, words, _ := strings.Cut(doc, "## Where bare words are sought")
	words, _, _ = strings.Cut(words, "## ")
	for _, f := range wordFields {
		if !strings.Contains(words, "`"+f.Name+"`") {
			t.Errorf("%s is not listed among the fields for bare words", f.Name)
		}
	}
	_, table, _ := strings.Cut(doc, "## Conditions")
	table, _, _ = strings.Cut(table, "## ")
	for _, row := range strings.Split(table, "\n| `")[1:] {
		example, _, _ := strings.Cut(row, "`")
		if _, err := Parse(example); err != nil {
			t.Errorf("%s: %v", example, err)
		}
	}
}
