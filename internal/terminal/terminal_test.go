package terminal

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain text", "plain text", "plain text"},
		{"letters of the world", "naïve 中文 🎉", "naïve 中文 🎉"},
		{"colour", "\x1b[31mred", `\x1b[31mred`},
		{"one-character CSI", "\u009b31m", `\x9b31m`},
		{"line ends", "a\r\nb", `a\x0d\x0ab`},
		{"direction override", "\u202egpj.exe", `\u202egpj.exe`},
		{"not UTF-8", "a\xff\xc3", `a\xff\xc3`},
		{"tag characters", "\U000e0041", `\U000e0041`},
		{"a replacement character that was sent", "\ufffd", `\ufffd`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Escape(tc.in); got != tc.want {
				t.Errorf("Escape(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func TestFit(t *testing.T) {
	for _, tc := range []struct {
		in   string
		n    int
		want string
	}{
		{"abc", 5, "abc  "},
		{"abcdef", 4, "abc…"},
		{"中文字", 6, "中文字"},
		{"中文字", 5, "中文…"},
		{"中文字", 4, "中… "},
		{"e\u0301e\u0301", 2, "e\u0301e\u0301"},
		{"x", 0, ""},
	} {
		got := Fit(tc.in, tc.n)
		if tc.n > 0 && (got != tc.want || Cells(got) != tc.n) {
			t.Errorf("Fit(%q, %d) = %q in %d columns, want %q", tc.in, tc.n, got, Cells(got), tc.want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a\x1b[31m\u202e\xff中")
	f.Fuzz(func(t *testing.T, s string) {
		if out := Escape(s); !utf8.ValidString(out) || strings.IndexFunc(out, hostile) >= 0 {
			t.Errorf("Escape(%q) = %q", s, out)
		}
	})
}

func FuzzAppendJSON(f *testing.F) {
	f.Add("a\x7f\u009b\u202e\U000e0041\ufffd中")
	f.Fuzz(func(t *testing.T, s string) {
		in, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		out := AppendJSON(nil, in)
		if i := strings.IndexFunc(string(out), func(r rune) bool { return r != utf8.RuneError && hostile(r) }); i >= 0 {
			t.Errorf("AppendJSON(%q) = %q", in, out)
		}
		var want, got string
		if json.Unmarshal(in, &want) != nil || json.Unmarshal(out, &got) != nil || got != want {
			t.Errorf("AppendJSON(%q) = %q, which means %q", in, out, got)
		}
	})
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		start := time.Now()
		p := &Progress{Out: &out, Total: 8 << 20, Done: func() int64 { return int64(time.Since(start).Seconds() * (1 << 20)) }}
		ctx, cancel := context.WithTimeout(t.Context(), 2100*time.Millisecond)
		defer cancel()
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if want := " 25%  2.0 MiB of 8.0 MiB  1.0 MiB/s  6s left"; !strings.Contains(out.String(), want) {
			t.Errorf("drew %q, want %q", out.String(), want)
		}
		if !strings.HasSuffix(out.String(), "\r\x1b[K") {
			t.Error("the line was not cleared")
		}
	})
}

func TestIsNotATerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if Is(w) || Width(w) != 0 {
		t.Error("a pipe is no terminal")
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	in := bytes.Repeat([]byte(`{"http":{"host":"www.example.com","url":"/index.html"}}`), 100)
	b.SetBytes(int64(len(in)))
	var out []byte
	for b.Loop() {
		out = AppendJSON(out[:0], in)
	}
	_, _ = io.Discard.Write(out)
}
