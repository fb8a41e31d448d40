package event

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/flow"
)

func TestRecordEscapesWhatIsNoUTF8(t *testing.T) {
	conn := flow.NewConn(1, flow.Tuple{Proto: flow.TCP}, time.Unix(1, 0))
	conn.TLS = &flow.TLS{SNI: "caf\xe9", Certificate: &flow.Certificate{Names: []string{"ok", "\xff"}}}
	body := &HTTP{
		Host: "é", URL: "/caf\xe9?\\xe9&\\xE9&\\x", UserAgent: `C:\xampp`,
		Request: &Message{Headers: []string{"a: b", "c: \xc4\xe3"}, Content: Content{Body: []byte{0xff, '\\', 'x', 'f', 'f'}}},
	}
	ev := &Event{Conn: conn, Body: body, Proto: "http1"}
	for range 2 { // the second time shows whether the event was changed
		b, err := json.Marshal(ev.Record())
		if err != nil {
			t.Fatal(err)
		}
		var got Record
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		want := &HTTP{
			Host: "é", URL: `/caf\xe9?\x5cxe9&\xE9&\x`, UserAgent: `C:\xampp`,
			Request: &Message{Headers: []string{"a: b", `c: \xc4\xe3`}, Content: body.Request.Content},
		}
		if diff := cmp.Diff(want, got.HTTP); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		facts := &flow.TLS{SNI: `caf\xe9`, Certificate: &flow.Certificate{Names: []string{"ok", `\xff`}}}
		if diff := cmp.Diff(facts, got.TLS); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	if conn.TLS.SNI != "caf\xe9" || body.Request.Headers[1] != "c: \xc4\xe3" {
		t.Error("the event was changed")
	}
}

// TestEveryTextIsEscaped puts a bad byte into each field of text in turn.
func TestEveryTextIsEscaped(t *testing.T) {
	for i := range Fields {
		f, r := &Fields[i], new(Record)
		switch v := f.settable(r); {
		case f.Type == TypeString && f.Enum == nil:
			v.SetString("\xff")
		case f.Type == TypeList:
			v.Set(reflect.ValueOf([]string{"", "\xff"}))
		default:
			continue
		}
		v := reflect.ValueOf(r).Elem()
		if recordTexts.plain(v) {
			t.Errorf("%s is taken for plain", f.Name)
		}
		recordTexts.escape(v)
		if got := fmt.Sprint(f.Value(r)); got != `\xff` && got != `[ \xff]` {
			t.Errorf("%s is %q", f.Name, got)
		}
	}
}

func TestRecordAllocatesNothingForPlainText(t *testing.T) {
	ev := &Event{Body: &HTTP{URL: "/", Host: `a\b`, Request: &Message{Headers: []string{"a: é"}}}}
	if n := testing.AllocsPerRun(100, func() { ev.Record() }); n != 1 {
		t.Errorf("%v allocations, want that of the Record alone", n)
	}
}

var escapes = regexp.MustCompile(`\\x[0-9a-f]{2}`)

// unescaped is what whoever wants the bytes back does.
func unescaped(s string) string {
	return escapes.ReplaceAllStringFunc(s, func(e string) string {
		b, _ := hex.DecodeString(e[2:])
		return string(b)
	})
}

func FuzzEscaped(f *testing.F) {
	for _, s := range []string{"", "a", "\xff", `\xff`, `\x5cxff`, "\\\xff", "\\x5\xff", `\\x00`, "é\xe9�", `\xFF`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := escaped(s)
		if !utf8.ValidString(got) {
			t.Errorf("%q became %q, which is no UTF-8", s, got)
		}
		if back := unescaped(got); back != s {
			t.Errorf("%q became %q and then %q", s, got, back)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	conn := flow.NewConn(0, flow.Tuple{Proto: flow.TCP}, time.Unix(1, 0))
	conn.TLS = &flow.TLS{Version: "TLS 1.3", SNI: "www.example.com", ClientALPNs: []string{"h2", "http/1.1"}}
	headers := []string{"host: www.example.com", "user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "accept: text/html,*/*;q=0.8", "cookie: a=0123456789abcdef"}
	ev := &Event{Conn: conn, Proto: "http1", Body: &HTTP{
		Version: "HTTP/1.1", Method: "GET", Host: "www.example.com", URL: "/a/b/c?d=e", UserAgent: "Mozilla/5.0",
		Request: &Message{Headers: headers}, Response: &Message{Headers: headers},
	}}
	b.ReportAllocs()
	for b.Loop() {
		ev.Record()
	}
}
