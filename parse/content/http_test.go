package content

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

func TestHeader(t *testing.T) {
	lines := []string{"A: 1", "content-Encoding: gzip", "no colon", "Content-Encoding:br ", "Content-Encodings: x", ":", ""}
	if got, ok := Header(lines, "content-encoding"); got != "gzip" || !ok {
		t.Errorf("header is %q, %v", got, ok)
	}
	if got := List(lines, "content-encoding"); got != "gzip, br" {
		t.Errorf("list is %q", got)
	}
	if got, ok := Header(lines, "b"); got != "" || ok {
		t.Errorf("missing header is %q, %v", got, ok)
	}
}

func TestAuthority(t *testing.T) {
	for _, c := range []struct {
		method, target, authority, host string
		port                            uint16
	}{
		{"GET", "/", "Example.COM", "example.com", 0},
		{"GET", "/", "example.com.:8080", "example.com", 8080},
		{"GET", "/", "[2001:DB8::1]:443", "2001:db8::1", 443},
		{"GET", "/", "[::1]", "::1", 0},
		{"GET", "/", "a:b", "a", 0},
		{"GET", "/", "a:70000", "a", 0},
		{"GET", "http://user:pw@Proxy.example:81?x", "other", "proxy.example", 81},
		{"GET", "/redirect?to=http://evil", "good", "good", 0},
		{"CONNECT", "Tunnel.example:443", "other", "tunnel.example", 443},
		{"OPTIONS", "*", "h", "h", 0},
		{"GET", "/", "Caf\xe9.\xc9", "caf\xe9.\xc9", 0}, // no UTF-8, and no byte is lost
	} {
		out, _ := output(parse.DefaultLimits)
		h := NewHTTP(out, 0, "", out.Seen())
		h.Request(c.method, c.target, c.authority, nil)
		if h.Host() != c.host || h.event.Port != c.port {
			t.Errorf("%s %s at %s is host %q port %d", c.method, c.target, c.authority, h.Host(), h.event.Port)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ disposition, target, want string }{
		{"", "/dir/file.txt?x=/y#z", "file.txt"},
		{"", "/dir/", ""},
		{"", "/", ""},
		{"", "*", "*"},
		{"", "http://h/a/b%20c", "b c"},
		{"", "http://h", ""},
		{"", "/%zz", "%zz"},
		{"", "/a%2F..%2Fb", "b"},
		{"attachment", "/x", "x"},
		{"attachment; filename=plain.txt", "/x", "plain.txt"},
		{`attachment; FileName = "a \"b\" \\ c.txt" ; x=y`, "/x", " c.txt"},
		{`attachment; filename="C:\dir\a.txt"`, "/x", "a.txt"},
		{`attachment; filename="../../etc/passwd"`, "/x", "passwd"},
		{`attachment; filename="old"; filename*=utf-8'en'n%C3%A9w`, "/x", "néw"},
		{`attachment; filename*=nonsense; filename=b`, "/x", "b"},
		{`attachment; filename="open`, "/x", "open"},
		{`attachment;;; x; filename=a`, "/x", "a"},
	} {
		got := dispositionName(c.disposition)
		if got == "" {
			got = targetName(c.target)
		}
		if got != c.want {
			t.Errorf("%q of %q is %q, want %q", c.disposition, c.target, got, c.want)
		}
	}
}

// exchange plays one request and response and returns their events as strings.
func exchange(t *testing.T, requestType, request, responseType, response string) []string {
	t.Helper()
	out, _ := output(parse.DefaultLimits)
	var got []string
	out.Emit = func(b event.Body) {
		switch b := b.(type) {
		case *event.HTTP:
			got = append(got, fmt.Sprint("http ", b.State))
		case *event.File:
			got = append(got, fmt.Sprint(b.Direction, " ", b.Name, " ", b.Size, " ", b.State))
		}
	}
	h := NewHTTP(out, 0, "", out.Seen())
	h.Request("POST", "/u/form.cgi", "h", []string{"Content-Type: " + requestType})
	h.Body(flow.ToServer, []byte(request))
	h.End(flow.ToServer, event.Complete)
	h.Response(200, "OK", []string{"Content-Type: " + responseType})
	h.Body(flow.ToClient, []byte(response))
	h.End(flow.ToClient, event.Complete)
	h.Emit()
	return got
}

func TestWhichBodiesAreFiles(t *testing.T) {
	part := "--b\r\nContent-Disposition: form-data; name=a; filename=a.bin\r\n\r\nabc\r\n--b--"
	for _, c := range []struct {
		name, requestType, request, response string
		want                                 []string
	}{
		{"none", "text/plain", "", "", []string{"http complete"}},
		{"response", "text/plain", "", "ok", []string{"http complete", "to_client form.cgi 2 complete"}},
		{"both", "text/plain", "abc", "ok", []string{"http complete", "to_server form.cgi 3 complete", "to_client form.cgi 2 complete"}},
		{"form", "Application/X-WWW-Form-Urlencoded; charset=x", "a=b", "", []string{"http complete"}},
		{"form with a file", "multipart/form-data; boundary=b", part, "", []string{"http complete", "to_server a.bin 3 complete"}},
		{"form without end", "multipart/form-data; boundary=b", part[:len(part)-6], "", []string{"http complete", "to_server a.bin 3 truncated"}},
		{"form without boundary", "multipart/form-data", part, "", []string{"http complete", "to_server form.cgi 73 complete"}},
	} {
		if diff := cmp.Diff(c.want, exchange(t, c.requestType, c.request, "text/plain", c.response)); diff != "" {
			t.Errorf("%s: events differ (-want +got):\n%s", c.name, diff)
		}
	}
}

// form writes a multipart body in pieces and returns its files.
func form(boundary, body string, pieces func() int) []string {
	out := &parse.Output{Anomaly: func(string) {}, Exhausted: func() bool { return false }, Limits: parse.Limits{Body: 1 << 20, Hashed: 1 << 20, Open: 4}}
	m := newMultipart(out, "multipart/form-data; boundary=\""+boundary+"\"")
	for body != "" {
		n := min(pieces(), len(body))
		m.write([]byte(body[:n]))
		body = body[n:]
	}
	m.end()
	var files []string
	for _, f := range m.files {
		files = append(files, fmt.Sprintf("%s %s %d %s", f.name, f.content.State, f.content.Size, f.content.SHA256))
	}
	return files
}

func TestMultipart(t *testing.T) {
	head := func(name string) string { return "Content-Disposition: form-data; filename=" + name + "\r\n\r\n" }
	whole := func(name int, text string) string {
		return fmt.Sprintf("%d complete %d %x", name, len(text), sha256.Sum256([]byte(text)))
	}
	for _, c := range []struct {
		name, body string
		want       []string
	}{
		{"two files", "--b\r\n" + head("1") + "one\r\n--b\r\n" + head("2") + "two\r\n--b--\r\n", []string{whole(1, "one"), whole(2, "two")}},
		{"bare line feeds", "--b\n" + strings.ReplaceAll(head("1"), "\r", "") + "one\n--b--\n", []string{whole(1, "one")}},
		{"empty files", "--b\r\n" + head("1") + "\r\n--b\r\n" + head("2") + "--b--", []string{whole(1, ""), whole(2, "")}},
		{"no boundary after all", "--b\r\n" + head("1") + "x\r\n--bc\r\n-b\r\r\n--\r\n--b-\r\n--b--", []string{whole(1, "x\r\n--bc\r\n-b\r\r\n--\r\n--b-")}},
		{"preamble", "preamble --b\r\n--b \t\r\nX: y\r\n" + head("1") + "one\r\n--b--epilogue\r\n--b\r\n" + head("2") + "two", []string{whole(1, "one")}},
		{"long header", "--b\r\nX: " + strings.Repeat("y", maxPartHeader) + "\r\n" + head("1") + "one\r\n--b\r\n" + head("2") + "two\r\n--b--", []string{whole(2, "two")}},
		{"too many", strings.Repeat("--b\r\n"+head("1")+"\r\n", 6) + "--b--", []string{whole(1, ""), whole(1, ""), whole(1, ""), whole(1, "")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 1))
			for _, most := range []int{1 << 20, 1, 2, 3, 5, 8, 13} {
				got := form("b", c.body, func() int { return 1 + random.IntN(most) })
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("pieces of up to %d (-want +got):\n%s", most, diff)
				}
			}
		})
	}
}

func FuzzMultipart(f *testing.F) {
	f.Add("b", "--b\r\nContent-Disposition: form-data; filename=a\r\n\r\nabc\r\n--b--", uint64(1))
	f.Add("x\r\n--", "\r\n--x\r\n--\r\ncontent-disposition:;filename=a\n\n\n--x\r\r\n--", uint64(2))
	f.Fuzz(func(t *testing.T, boundary, body string, seed uint64) {
		if newMultipart(&parse.Output{}, "multipart/form-data; boundary=\""+boundary+"\"") == nil {
			return
		}
		random := rand.New(rand.NewPCG(seed, 1))
		whole := form(boundary, body, func() int { return len(body) })
		cut := form(boundary, body, func() int { return 1 + random.IntN(4) })
		if diff := cmp.Diff(whole, cut); diff != "" {
			t.Errorf("files change with the pieces (-whole +cut):\n%s", diff)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd"} {
		f.Add(encoding, encode(f, encoding, sample(1000)), uint64(1))
	}
	f.Fuzz(func(t *testing.T, encoding string, wire []byte, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 1))
		play := func(pieces func() int) (event.Content, []string) {
			out, codes := output(parse.Limits{Body: 100, Hashed: 1 << 20, Decompressed: 1 << 18, Ratio: 1 << 40})
			s := New(out, encoding)
			for b := wire; len(b) > 0; {
				n := min(pieces(), len(b))
				s.Write(b[:n])
				b = b[n:]
			}
			return s.Finish(event.Complete), *codes
		}
		whole, wholeCodes := play(func() int { return len(wire) })
		cut, cutCodes := play(func() int { return 1 + random.IntN(4) })
		if slices.Contains(wholeCodes, Undecodable) { // of a broken piece, brotli hands out nothing
			whole.Body, whole.Size, whole.Type, whole.Truncated = cut.Body, cut.Size, cut.Type, cut.Truncated
		}
		if diff := cmp.Diff(whole, cut) + cmp.Diff(wholeCodes, cutCodes); diff != "" {
			t.Errorf("content changes with the pieces (-whole +cut):\n%s", diff)
		}
	})
}
