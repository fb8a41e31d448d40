package query

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseGivesTheCanonicalForm(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "  ", ""},
		{"word", "  hello ", "hello"},
		{"quoted word", `"hello"`, "hello"},
		{"phrase", `"hello world"`, `"hello world"`},
		{"juxtaposition is and", "a b", "a and b"},
		{"keywords in any case", "a AND b Or NOT c", "a and b or not c"},
		{"and binds closer", "a or b and c", "a or b and c"},
		{"parentheses stay where they matter", "(a or b) c", "(a or b) and c"},
		{"and go where they don't", "((a and b)) or (c)", "a and b or c"},
		{"not of and", "not (a b)", "not (a and b)"},
		{"not of or", "not (a or b)", "not (a or b)"},
		{"not not", "not not a", "not not a"},
		{"keyword quoted", `"and"`, `"and"`},
		{"keyword as a value", `http.method:not`, `http.method:"not"`},
		{"to is a word", "to", `"to"`},
		{"field", "http.host:example.com", "http.host:example.com"},
		{"field name in any case", "HTTP.Host:Example.com", "http.host:Example.com"},
		{"equals sign", "http.status = 404", "http.status:404"},
		{"differs", "http.status != 404", "not http.status:404"},
		{"wildcards", "http.host:*.example.com", "http.host:*.example.com"},
		{"no wildcards in quotes", `http.host:"*.x"`, `http.host:"*.x"`},
		{"escaped wildcard", `http.host:\*.x`, `http.host:"*.x"`},
		{"escaped space with wildcard", `http.user_agent:curl\ 8*`, `http.user_agent:curl\ 8*`},
		{"colon in a value", "http.url:/a:b?c=d", `http.url:/a\:b?c\=d`},
		{"exists", "tls.sni:*", "tls.sni:*"},
		{"empty string", `http.host:""`, `http.host:""`},
		{"group", "http.status:(404 or 500)", "http.status:404 or http.status:500"},
		{"group with not", "http.method:(not GET and not POST)", "not http.method:GET and not http.method:POST"},
		{"group by juxtaposition", "dns.answers:(a b)", "dns.answers:a and dns.answers:b"},
		{"at least", "http.status>=400", "http.status >= 400"},
		{"above", "http.status > 400", "http.status >= 401"},
		{"below", "http.status < 400", "http.status <= 399"},
		{"range", "http.status:[400 to 499]", "http.status:[400 to 499]"},
		{"open range", "http.status:[400 TO *]", "http.status >= 400"},
		{"range of all", "http.status:[* to *]", "http.status:[* to *]"},
		{"range of one", "http.status:[400 to 400]", "http.status:400"},
		{"size", "http.response.size > 1mb", "http.response.size >= 1000001"},
		{"binary size", "http.response.size >= 1.5KiB", "http.response.size >= 1536"},
		{"duration", "http.duration_us > 250ms", "http.duration_us >= 250001"},
		{"negative", "http.duration_us > -1", "http.duration_us >= 0"},
		{"enum in any case", "decrypted:YES", "decrypted:yes"},
		{"enum with wildcard", "decrypted:p*", "decrypted:p*"},
		{"boolean", "tls.resumed:yes", "tls.resumed:true"},
		{"address", "client.ip:10.1.2.3", "client.ip:10.1.2.3"},
		{"mapped address", "client.ip:::ffff:10.1.2.3", "client.ip:10.1.2.3"},
		{"network", "client.ip:10.1.2.3/8", "client.ip:10.0.0.0/8"},
		{"network of IPv6", "client.ip:2001:db8::/32", `client.ip:"2001:db8::/32"`},
		{"address range", "client.ip:[10.0.0.1 to 10.0.0.9]", "client.ip:[10.0.0.1 to 10.0.0.9]"},
		{"alias", "ip:10.0.0.0/8 port:443", "ip:10.0.0.0/8 and port:443"},
		{"address as a word", "10.0.0.1", "10.0.0.1"},
		{"IPv6 address as a word", "2001:db8::1", "2001:db8::1"},
		{"address as text", `"10.0.0.1"`, `"10.0.0.1"`},
		{"time", `time > "2026-11-20T10:00:00Z"`, `time >= "2026-11-20T10:00:00.000000001Z"`},
		{"time with offset", `time >= "2026-11-20T10:00:00+02:00"`, `time >= "2026-11-20T08:00:00Z"`},
		{"day", "time:2026-11-20", `time:["2026-11-20T00:00:00Z" to "2026-11-20T23:59:59.999999999Z"]`},
		{"after a day", "time > 2026-11-20", `time >= "2026-11-21T00:00:00Z"`},
		{"id", "conn_id:0123456789ABCDEF0123456789abcdef", "conn_id:0123456789abcdef0123456789abcdef"},
		{"bytes", `http.request.body:"\xff\x00"`, `http.request.body:"\xff\x00"`},
		{"dash", "foo-bar:baz", `"foo-bar:baz"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := Parse(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.String(); got != tc.want {
				t.Errorf("got %s\nwant %s", got, tc.want)
			}
			again, err := Parse(f.String())
			if err != nil {
				t.Fatalf("canonical form %s: %v", f, err)
			}
			if again.String() != f.String() {
				t.Errorf("canonical form of %s is %s", f, again)
			}
		})
	}
}

func TestErrorsSayWhereAndWhat(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       Error
	}{
		{"unknown field", "a htp.status:4", Error{2, 12, "there is no field htp.status; did you mean http.status?", "http.status"}},
		{"end of a name", "status:4", Error{0, 6, "there is no field status; did you mean http.status?", "http.status"}},
		{"column name", "http_host:a", Error{0, 9, "there is no field http_host; did you mean http.host?", "http.host"}},
		{"far off", "zzzzzzzz:1", Error{0, 8, "there is no field zzzzzzzz; put the text in quotes to search for it everywhere", ""}},
		{"enum", "decrypted:maybe", Error{10, 15, `decrypted is never "maybe": it is one of yes, no, partial`, ""}},
		{"enum with typo", "http.state:complet", Error{11, 18, `http.state is never "complet": it is one of complete, truncated, gap`, "complete"}},
		{"number", "http.status:abc", Error{12, 15, `http.status is a whole number from 0 to 65535; "abc" is not`, ""}},
		{"number too high", "http.status:70000", Error{12, 17, `http.status is a whole number from 0 to 65535; "70000" is not`, ""}},
		{"above all", "http.status > 65535", Error{14, 19, "http.status is never above that", ""}},
		{"unit of another", "http.status:5ms", Error{12, 15, `http.status is a whole number from 0 to 65535; "5ms" is not`, ""}},
		{"text has no order", "http.host > a", Error{12, 13, "http.host is text: it can be compared with : and != only", ""}},
		{"address", "ip:10.0.0", Error{3, 9, `ip is an IP address such as 10.1.2.3, or a network such as 10.0.0.0/8 or 2001:db8::/32; "10.0.0" is not`, ""}},
		{"time", "time > noon", Error{7, 11, `time is a time such as 2026-11-20, 2026-11-20T10:00 or 2026-11-20T10:00:00Z; "noon" is not`, ""}},
		{"quotation mark", `http.host:"a`, Error{10, 12, "the quotation mark is never closed", `"a"`}},
		{"parenthesis", "a (b", Error{2, 3, "the parenthesis is never closed", ""}},
		{"parenthesis too many", "a) b", Error{1, 2, "there is a ) too many", ""}},
		{"nothing behind and", "a and", Error{5, 5, "something to search for is missing here", ""}},
		{"nothing before or", "or a", Error{0, 2, `something to search for is missing before "or"; put it in quotes to search for the word`, `"or"`}},
		{"no value", "http.host:", Error{0, 9, "a value is missing behind http.host", ""}},
		{"empty range", "http.status:[500 to 400]", Error{13, 23, "nothing is in this range: 500 is above 400", ""}},
		{"half a range", "http.status:[500]", Error{12, 16, "a range is written [low to high], with * for no bound", ""}},
		{"invalid UTF-8", "a\xff", Error{1, 2, `the search is not valid UTF-8; in quotes, write a byte as \xHH`, ""}},
		{"position in bytes", "é htp.host:a", Error{3, 11, "there is no field htp.host; did you mean http.host?", "http.host"}},
		{"too long", strings.Repeat("a", MaxLength+1), Error{MaxLength, MaxLength + 1, "the search is longer than 8192 bytes", ""}},
		{"too deep", strings.Repeat("(", MaxDepth+1), Error{MaxDepth, MaxDepth + 1, "parentheses and nots are nested deeper than 32", ""}},
		{"too many", strings.Repeat("a ", MaxTerms+1), Error{2 * MaxTerms, 2*MaxTerms + 1, "there are more than 256 conditions", ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse(tc.text)
			var got *Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if diff := cmp.Diff(tc.want, *got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
