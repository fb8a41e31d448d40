package query

import (
	"net/netip"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
)

func httpRecord() *event.Record {
	return &event.Record{
		ID: event.ID{1}, ConnID: event.ID{2}, Time: time.Date(2026, 11, 20, 10, 0, 0, 5000, time.UTC), Kind: event.KindHTTP, Proto: "tcp",
		Client:     flow.Endpoint{IP: netip.MustParseAddr("10.1.2.3"), Port: 50000},
		Server:     flow.Endpoint{IP: netip.MustParseAddr("2001:db8::1"), Port: 443},
		Decryption: flow.Decryption{State: flow.DecryptedYes, Source: flow.FromKeys},
		TLS:        &flow.TLS{SNI: "www.example.com", Certificate: &flow.Certificate{Names: []string{"example.com", "*.example.com"}}},
		HTTP: &event.HTTP{
			Method: "GET", Host: "www.example.com", URL: "/a?b=%41", Status: 404, DurationUS: 250_000,
			Request:  &event.Message{Headers: []string{"Host: www.example.com", "User-Agent: curl/8.5"}},
			Response: &event.Message{Content: event.Content{Size: 2000, Body: []byte("PK\x03\x04\xff\xfe hello \xc3\x89t\xc3\xa9 100%_\\")}},
		},
	}
}

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		text string
		want bool
	}{
		{"", true},
		{"*", true},
		{"curl", true}, {"CURL/8", true}, {"wget", false}, {"hello", true}, {`"\xff\xfe"`, true}, {`"\xfe\xff"`, false},
		{"not wget", true}, {"curl and wget", false}, {"curl or wget", true}, {"curl wget", false},
		{"http.host:www.example.com", true}, {"http.host:WWW.example.com", true}, {"http.host:example.com", false},
		{"http.host:*.example.com", true}, {"http.host:www.*.com", true}, {"http.host:www?example.com", true}, {"http.host:www.example.com?", false},
		{`http.host:"*.example.com"`, false}, {"http.host:*", true}, {"dns.name:*", false}, {`dns.name:""`, true}, {`http.host:""`, false},
		{"host:www.example.com", true}, {"http.url:/a*%41", true}, {"http.url:/a?b=*", true},
		{"http.request.headers:curl", true}, {`http.request.headers:"user-agent: curl/8.5"`, true}, {"http.response.headers:curl", false}, {"http.request.headers:*", true},
		{"tls.certificate.names:example.com", true}, {`tls.certificate.names:"*.example.com"`, true}, {"tls.certificate.names:ample.com", false},
		{"http.response.body:HELLO", true}, {"http.response.body:P?*hello", true}, {`body:"100%_\\"`, true}, {"body:100%?\\\\", true}, {`body:"1000_"`, false},
		{"body:Ét?", true}, {"body:ét", false}, // only A to Z have two cases
		{"http.status:404", true}, {"http.status >= 400 and http.status < 500", true}, {"http.status:[400 to 403]", false}, {"http.status:(200 or 404)", true},
		{"http.status != 404", false}, {"http.tx:0", true}, {"dns.id:0", false}, {"dns.duration_us < 5", false}, {"process.uid:0", false},
		{"http.duration_us:250ms", true}, {"http.response.size > 1kb", true}, {"http.response.size > 2kib", false},
		{"tls.resumed:false", true}, {"tls.resumed:true", false}, {"tls.resumed:*", false},
		{"client.ip:10.0.0.0/8", true}, {"client.ip:10.1.2.3", true}, {"server.ip:2001:db8::/32", true}, {"server.ip:0.0.0.0/0", false}, {"client.ip:::/0", true},
		{"ip:2001:db8::1", true}, {"10.1.2.3", true}, {"2001:db8::/32", true}, {"10.1.2.4", false}, {`"10.1.2.3"`, false}, {"port:443", true}, {"port:80", false},
		{"time:2026-11-20", true}, {"time > 2026-11-20", false}, {"time > 2026-11-20T10:00:00Z", true}, {"time:2026-11-20T10:00", true}, {"tls.certificate.not_after < 2030-01-01", false},
		{"decrypted:yes", true}, {"decrypted:*", true}, {"decrypted:no", false}, {"decrypt_source:keys", true}, {"kind:http", true}, {"kind:(dns or tls)", false},
		{"conn_id:02000000000000000000000000000000", true}, {"conn_id:03000000000000000000000000000000", false}, {"conn_id:*", true},
	} {
		f, err := Parse(tc.text)
		if err != nil {
			t.Errorf("%s: %v", tc.text, err)
			continue
		}
		if got := f.Match(httpRecord()); got != tc.want {
			t.Errorf("%s: got %v", tc.text, got)
		}
	}
}

func TestPatternsCoverTheWholeText(t *testing.T) {
	for _, tc := range []struct {
		pattern, text string
		want          bool
	}{
		{"*a*b", "xaxbxb", true}, {"*a*b", "xaxbxc", false}, {"a*a", "a", false}, {"a*a", "aa", true}, {"*ab*ab*", "xabx", false},
		{"a?c", "aéc", true}, {"a?c", "a\xffc", false}, {"a*c", "a\xff\xfec", true}, {"?", "é", true}, {"??", "é", false}, {"*?", "é", true}, {"?*", "", false},
		{"*é?", "éé", true}, {"*?é", "éé", true},
	} {
		l := lexer{text: tc.pattern}
		w, err := l.value("")
		if err != nil {
			t.Fatal(err)
		}
		if got := w.pattern.match(tc.text); got != tc.want {
			t.Errorf("%s on %q: got %v", tc.pattern, tc.text, got)
		}
	}
}

func TestWithoutHidesFields(t *testing.T) {
	hide := func(f *event.Field) bool { return f.Type == event.TypeBytes || f.Name == "http.request.headers" }
	for text, want := range map[string]bool{"curl": false, "example": true, "hello": false, "not hello": true} {
		f, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if f, err = f.Without(hide); err != nil {
			t.Fatal(err)
		}
		if got := f.Match(httpRecord()); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
	for _, text := range []string{"body:a", "not (http.host:a or http.request.headers:b)", "http.request.body:*"} {
		f, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Without(hide); err == nil {
			t.Errorf("%s: a hidden field was searched", text)
		}
	}
}
