package categories

import (
	"regexp"
	"slices"
	"testing"
)

var name = regexp.MustCompile(`^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$`)

func TestLists(t *testing.T) {
	ids := IDs()
	for _, want := range []string{"banking", "government", "health"} {
		if !slices.Contains(ids, want) {
			t.Errorf("no category %s among %v", want, ids)
		}
	}
	for _, id := range ids {
		names := Names(id)
		if len(names) < 20 {
			t.Errorf("%s has %d names only", id, len(names))
		}
		for i, n := range names {
			if !name.MatchString(n) {
				t.Errorf("%s: %q is no name", id, n)
			}
			if slices.Contains(names[:i], n) {
				t.Errorf("%s has %s twice", id, n)
			}
		}
	}
	if Names("") != nil || Names("categories.go") != nil {
		t.Error("there are categories that are none")
	}
}

func TestNamesStandForThoseBelow(t *testing.T) {
	got := parse("# comment\n\nbank.example # one\n*.gov\n")
	if want := []string{"bank.example", "*.bank.example", "*.gov"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
