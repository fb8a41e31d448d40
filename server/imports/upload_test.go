package imports

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCleanName(t *testing.T) {
	for name, want := range map[string]string{
		"a.pcap": "a.pcap", "../../../etc/passwd": "passwd", `C:\x\y.pcap`: "y.pcap", "a\x1b[31m\nb.pcap": "a_[31m_b.pcap", "\xff\xfe": "_", "": "unnamed", "/": "unnamed",
		"\u202egpj.pcap": "_gpj.pcap", "日本 é.pcap": "日本 é.pcap", strings.Repeat("x", 500): strings.Repeat("x", 119) + "…",
	} {
		if got := cleanName(name); got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	f.Add("a/b\\c\x1b\u202e")
	f.Fuzz(func(t *testing.T, name string) {
		got := cleanName(name)
		if got == "" || utf8.RuneCountInString(got) > maxName || strings.ContainsAny(got, `/\`) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q became %q", name, got)
		}
	})
}
