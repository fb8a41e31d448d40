package target

import (
	"slices"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	for _, c := range []struct {
		host, raw string
		want      Target
	}{
		{"Example.COM:8443", "/Upload/", Target{"example.com", []string{"/upload/"}, ""}},
		{"example.com.", "", Target{"example.com", []string{"/"}, ""}},
		{"example.com", "/%75pload?a=%62", Target{"example.com", []string{"/upload"}, "a=b"}},
		{"example.com", "/%2575pload", Target{"example.com", []string{"/%2575pload"}, ""}},
		{"example.com", "//a/./b/../upload//x", Target{"example.com", []string{"/a/upload/x"}, ""}},
		{"example.com", "/a/%2e%2e/../../upload", Target{"example.com", []string{"/upload"}, ""}},
		{"example.com", "/upload%2Fx", Target{"example.com", []string{"/upload%2fx", "/upload/x"}, ""}},
		{"example.com", "/upload/..%2f..%5Cx", Target{"example.com", []string{"/upload/..%2f..\\x", "/x"}, ""}},
		{"example.com", "/upload;v=1/x", Target{"example.com", []string{"/upload;v=1/x", "/upload/x"}, ""}},
		{"other.example", "https://User@Example.com:443/upload?x", Target{"example.com", []string{"/upload"}, "x"}},
		{"other.example", "http://example.com", Target{"example.com", []string{"/"}, ""}},
		{"example.com", "/to?u=http://a.example/", Target{"example.com", []string{"/to"}, "u=http://a.example/"}},
		{"example.com", "*", Target{"example.com", []string{"*", "/*"}, ""}},
		{"BÜCHER.example", "/", Target{"xn--bcher-kva.example", []string{"/"}, ""}},
		{"[2001:DB8::1]:443", "/", Target{"2001:db8::1", []string{"/"}, ""}},
		{"::ffff:192.0.2.1", "/", Target{"192.0.2.1", []string{"/"}, ""}},
		{"example.com", "/a#b", Target{"example.com", []string{"/a"}, ""}},
	} {
		got := New(c.host, c.raw)
		if got.Host != c.want.Host || !slices.Equal(got.Paths, c.want.Paths) || got.Query != c.want.Query {
			t.Errorf("%s %s is %q, want %q", c.host, c.raw, got, c.want)
		}
	}
}

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		pattern, host, raw string
		want               bool
	}{
		{"example.com", "example.com", "/any?x", true},
		{"example.com", "www.example.com", "/", false},
		{"*.example.com", "www.example.com", "/", true},
		{"*.example.com", "a.b.example.com", "/", true},
		{"*.example.com", "example.com", "/", false},
		{"*.example.com", "badexample.com", "/", false},
		{"*", "anything", "/", true},
		{"*/upload/*", "anything", "/upload/x", true},
		{"example.com/", "example.com", "/", true},
		{"example.com/", "example.com", "/a", false},
		{"example.com/upload/*", "example.com", "/upload/", true},
		{"example.com/upload/*", "example.com", "/UPLOAD/%61", true},
		{"example.com/upload/*", "example.com", "/x/..//%75pload/a", true},
		{"example.com/upload/*", "example.com", "/upload%2fa", true},
		{"example.com/upload/*", "example.com", "/upload/..%2fa", true}, // for a server that does not take %2f for a slash
		{"example.com/upload/*", "example.com", "/download/upload/a", false},
		{"example.com/*/edit/*.html", "example.com", "/a/b/edit/c.html", true},
		{"example.com/*a*a", "example.com", "/a", false},
		{"example.com/x?a=1*", "example.com", "/x?a=12", true},
		{"example.com/x?a=1*", "example.com", "/x", false},
		{"bücher.example", "xn--bcher-kva.example", "/", true},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		target := New(c.host, c.raw)
		if p.Fits(&target) != c.want {
			t.Errorf("%s fits %s%s: %t, want %t", c.pattern, c.host, c.raw, !c.want, c.want)
		}
	}
	for _, bad := range []string{"", "/path", "https://example.com/", "ex*mple.com", "*.", "*.*.com"} {
		if _, err := ParsePattern(bad); err == nil {
			t.Errorf("pattern %q is read", bad)
		}
	}
}

// FuzzNew checks that what was brought into its form stays as it is.
func FuzzNew(f *testing.F) {
	for _, s := range []string{"/a/%2e%2e/b%2Fc?d", "http://a@b:1/c", "*", "/%25%32%46", "//..;/\\a", "/\x01%01"} {
		f.Add("Example.com:443", s)
	}
	f.Add("bücher。example.", "/")
	f.Add("a%2540b", "/")
	f.Fuzz(func(t *testing.T, host, raw string) {
		once := New(host, raw)
		junk := strings.ContainsFunc(once.Host, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-.", r) })
		if again := Host(once.Host); again != once.Host && !junk {
			t.Errorf("host %q becomes %q, then %q", host, once.Host, again)
		}
		for i, p := range once.Paths {
			if again := Path(p, i > 0); again != p {
				t.Errorf("path %q becomes %q, then %q", raw, p, again)
			}
		}
		if again := queryForm(once.Query); again != once.Query {
			t.Errorf("query %q becomes %q, then %q", raw, once.Query, again)
		}
		if n := len(once.Paths[0]); n > 3*len(raw)+1 {
			t.Errorf("%d bytes become %d", len(raw), n)
		}
	})
}
