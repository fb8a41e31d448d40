package query

import (
	"slices"
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	for _, tc := range []struct {
		name, text         string // the cursor is at the bar
		replaced           string
		has, hasNot, field string
	}{
		{"start", "|", "", "http.host not ip", "and :", ""},
		{"prefix of a field", "http.ho|", "http.ho", "http.host", "dns.name", ""},
		{"middle of a name", "ho|", "ho", "host http.host", "", ""},
		{"inside a word", "ht|tp.host:a", "http.host", "http.host", "", ""},
		{"behind a field", "http.status |", "", ": >= !=", "and", ""},
		{"behind a field of text", "http.host |", "", ": !=", ">=", ""},
		{"enum", "decrypted:|", "", "yes no partial *", "http.host", ""},
		{"prefix of an enum", "a and decrypted:p|", "p", "partial", "yes", ""},
		{"boolean", "tls.resumed:|", "", "true false", "", ""},
		{"stored values", "http.host:www|", "www", "", "", "http.host"},
		{"stored values in quotes", `http.host:"www|`, `"www`, "", "", "http.host"},
		{"behind a condition", "http.host:a |", "", "and or http.host", "", ""},
		{"behind and", "http.host:a and |", "", "http.host not", "and", ""},
		{"keyword", "http.host:a o|", "o", "or", "and", ""},
		{"group of values", "kind:(http or |", "", "dns tls", "http.host", ""},
		{"behind a group", "kind:(http or dns) |", "", "and or", "", ""},
		{"parenthesis", "(|", "", "http.host", "and", ""},
		{"comparison", "http.status >= |", "", "", "and", "http.status"},
		{"after nonsense", "((x:1 ))) foo:( |", "", "", ":", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pos := strings.IndexByte(tc.text, '|')
			text := strings.Replace(tc.text, "|", "", 1)
			c := Complete(text, pos)
			if got := text[c.From:c.To]; got != tc.replaced {
				t.Errorf("replaces %q, want %q", got, tc.replaced)
			}
			labels := make([]string, len(c.Options))
			for i, o := range c.Options {
				labels[i] = o.Label
			}
			for _, want := range strings.Fields(tc.has) {
				if !slices.Contains(labels, want) {
					t.Errorf("%s is not offered in %v", want, labels)
				}
			}
			for _, not := range strings.Fields(tc.hasNot) {
				if slices.Contains(labels, not) {
					t.Errorf("%s is offered", not)
				}
			}
			field := ""
			if c.Values != nil {
				field = c.Values.Name
			}
			if field != tc.field {
				t.Errorf("asks for values of %q, want %q", field, tc.field)
			}
		})
	}
}
