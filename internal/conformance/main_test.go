package main

import "testing"

func TestMatches(t *testing.T) {
	for _, tc := range []struct {
		pattern, text string
		want          bool
	}{
		{"http GET / 200", "http GET / 200", true},
		{"http GET / 200", "http GET /x 200", false},
		{"http GET * 200", "http GET example.com/x 200", true},
		{"http GET * 200", "http GET example.com/x 404", false},
		{"body *PNG*END*", "body ..PNG..END..", true},
		{"body *PNG*END*", "body ..END..PNG..", false},
		{"*", "", true},
	} {
		if got := matches(tc.pattern, tc.text); got != tc.want {
			t.Errorf("matches(%q, %q) is %v", tc.pattern, tc.text, got)
		}
	}
}

func TestEveryExpectationCounts(t *testing.T) {
	if err := checkFacts([]string{"*"}, nil); err == nil {
		t.Error("something was found among no events")
	}
	for _, c := range checks {
		if (len(c.want) == 0) == (c.golden == "" && c.skip == "") {
			t.Errorf("%s must have exactly one of want, golden and skip", c.name)
		}
	}
}
