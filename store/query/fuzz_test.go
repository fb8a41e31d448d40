package query

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

var seeds = []string{
	"", "a", `"a b"`, "decrypted:yes and http.host:*.example.com and not http.status:200", "http.status:(404 or 500)", "http.status >= 400",
	`time > "2026-11-20T10:00:00Z"`, "client.ip:10.0.0.0/8", "2001:db8::1", "ip:2001:db8::/32 port:443", "http.response.size > 1.5mib", "http.duration_us < 250ms",
	`http.request.body:"\xff\""`, `http.user_agent:curl\ 8*?`, "not (a or b) c", "kind:h*", "tls.resumed:no", "conn_id:0123456789abcdef0123456789abcdef", "http.status:[400 to *]",
	"time:2026-11-20", "a\\", `"\x4`, "(((", "http.host:", "x:1", "host:\u3000a", "http.method!=GET", "é*", "::", "0.0.0.0/0",
}

// sqlWords are all that SQL may be made of: names of columns and functions, operators, and references to parameters.
var sqlWords = regexp.MustCompile(`^(?:\{p[0-9]+:(?:String|Int64|UInt64|IPv6|UUID|DateTime64\(9,'UTC'\))\}|AND|OR|NOT|LIKE|lower|match|startsWith|endsWith|arrayExists|notEmpty|x|->|!=|>=|<=|=|>|[01]|[(), ]|` + columns() + `)*$`)

func columns() string {
	var names []string
	for i := range event.Fields {
		names = append(names, event.Fields[i].Column()+`\b`)
	}
	return strings.Join(names, "|")
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	r := httpRecord()
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse(text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Start < 0 || e.Start > e.End || e.End > len(text) || e.Message == "" {
				t.Fatalf("bad error %#v", err)
			}
			return
		}
		again, err := Parse(q.String())
		if err != nil {
			if len(q.String()) > MaxLength {
				return // the canonical form of a long search may be longer than a search may be
			}
			t.Fatalf("canonical form %s: %v", q, err)
		}
		if again.String() != q.String() {
			t.Fatalf("canonical form of %s is %s", q, again)
		}
		where, params := q.SQL()
		if !sqlWords.MatchString(where) {
			t.Fatalf("SQL has a word that it may not have: %s", where)
		}
		if n := strings.Count(where, "{p"); n != len(params) {
			t.Fatalf("SQL refers to %d parameters and has %d: %s", n, len(params), where)
		}
		if q.Match(r) != again.Match(r) {
			t.Fatalf("%s and its canonical form disagree", q)
		}
	})
}

func FuzzComplete(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, len(s))
	}
	f.Fuzz(func(t *testing.T, text string, pos int) {
		c := Complete(text, pos)
		if c.From < 0 || c.From > c.To || c.To > len(text) {
			t.Fatalf("replaces %d to %d of %d bytes", c.From, c.To, len(text))
		}
	})
}

// FuzzPattern checks the hand-written matching against the regular expression that the database is given.
func FuzzPattern(f *testing.F) {
	for _, s := range [][2]string{{"a*b?c", "axxbéc"}, {"*é?", "xéy"}, {"a", "A"}, {"*a*a*", "aa"}, {"?", "\x80"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, text, s string) {
		l := lexer{text: text}
		w, err := l.value("")
		if err != nil || w.quoted || len(text) > 100 {
			return
		}
		p := w.pattern.lower()
		// Go's engine has no \C, so bytes become characters of their own; a ? is then one byte, and needs ASCII to compare.
		if strings.ContainsFunc(s+text, func(r rune) bool { return r >= 0x80 }) {
			return
		}
		want := regexp.MustCompile(strings.ReplaceAll(p.regexp(), `\C`, `.`)).MatchString(lowerASCII(s))
		if got := p.match(lowerASCII(s)); got != want {
			t.Fatalf("%s on %q: got %v, the regular expression gives %v", text, s, got, want)
		}
	})
}

func TestMatchTakesLinearTime(t *testing.T) {
	f, err := Parse("body:*ab*ba?c*")
	if err != nil {
		t.Fatal(err)
	}
	const size = 1 << 20
	body := []byte(strings.Repeat("ab", size))
	testkit.Linear(t, size, func(n int) {
		f.Match(&event.Record{Kind: event.KindHTTP, HTTP: &event.HTTP{Request: &event.Message{Content: event.Content{Body: body[:n]}}}})
	})
}
