package page

import (
	"encoding/json"
	"strings"
	"testing"
)

var block = Block{Host: "<script>alert(1)</script>", Policy: "office", Rule: "no-uploads", Why: "No uploads", Reference: "ABCD-2345", Contact: "help@example.com"}

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

func TestRender(t *testing.T) {
	for _, c := range []struct{ accept, language, kind, want string }{
		{browser, "en-US,en;q=0.5", "text/html; charset=utf-8", "This request was blocked"},
		{browser, "zh-CN,zh;q=0.9,en;q=0.8", "text/html; charset=utf-8", "此请求已被阻断"},
		{browser, "en, zh;q=0.9", "text/html; charset=utf-8", "This request was blocked"},
		{browser, "de", "text/html; charset=utf-8", "This request was blocked"},
		{"*/*", "zh", "text/plain; charset=utf-8", "Reference: ABCD-2345\n"},
		{"", "", "text/plain; charset=utf-8", "Rule: no-uploads\n"},
		{"application/json, text/plain", "", "application/json", `"reference":"ABCD-2345"`},
		{"application/vnd.github+json", "", "application/json", `"error":"blocked"`},
	} {
		kind, body := block.Render(c.accept, c.language)
		if kind != c.kind || !strings.Contains(string(body), c.want) {
			t.Errorf("%q %q: %s\n%s", c.accept, c.language, kind, body)
		}
		if strings.Contains(kind, "html") && (strings.Contains(string(body), "<script") || strings.Contains(string(body), "http")) {
			t.Errorf("%q: unescaped, or it refers to something:\n%s", c.accept, body)
		}
		if kind == "application/json" && !json.Valid(body) {
			t.Errorf("no JSON: %s", body)
		}
	}
}

func TestHostileFacts(t *testing.T) {
	b := Block{Host: strings.Repeat("é", 500) + "\xff", Rule: "r", Reference: "a\x1b[31m\nb"}
	for _, accept := range []string{browser, "", "application/json"} {
		_, body := b.Render(accept, "")
		if len(body) > 4000 || strings.Contains(string(body), "\x1b[31m\n") {
			t.Errorf("%s: %d bytes: %q", accept, len(body), body)
		}
	}
}
