package altsvc

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestWithout(t *testing.T) {
	for value, want := range map[string]string{
		`h3=":443"; ma=86400`:                                      ``,
		`h3=":443"; ma=86400, h3-29=":443"; ma=86400`:              ``,
		`h2="alt.example:443"; ma=60`:                              `h2="alt.example:443"; ma=60`,
		`h2="alt.example:443"; ma=60, h3=":443"; ma=60; persist=1`: `h2="alt.example:443"; ma=60`,
		`h3=":443",h2="alt.example:443";ma=60,h3-Q050=":443"`:      `h2="alt.example:443";ma=60`,
		`quic=":443"; ma=2592000; v="46,43", hq=":443"`:            ``,
		`%683=":443", H3=":444", h%33=":445"`:                      ``,
		`w="x,h3=y"; q="a\"b,h3=c"`:                                `w="x,h3=y"; q="a\"b,h3=c"`,
		`w="x,h3=y", h3=":443", h2=":1"`:                           `w="x,h3=y", h2=":1"`,
		`clear`:                                                    `clear`,
		``:                                                         ``,
		`, ,`:                                                      `, ,`,
		`h3`:                                                       ``,
		`h2="unfinished, h3=":443"`:                                `h2="unfinished, h3=":443"`,
		`h3="unfinished, h2=":443"`:                                ``,
		`h33=":443", x-h3=":443"`:                                  `h33=":443", x-h3=":443"`,
	} {
		if got := Without(value); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

func FuzzWithout(f *testing.F) {
	f.Add(`h3=":443"; ma=86400, h2="a\",b:443", %68q=x`)
	f.Fuzz(func(t *testing.T, value string) {
		once := Without(value)
		if twice := Without(once); twice != once {
			t.Errorf("%q becomes %q, and that %q", value, once, twice)
		}
		if len(once) > 2*len(value) {
			t.Errorf("%q grows to %q", value, once)
		}
	})
}

// head is what a server says; lines in it are told as a parser does.
const (
	head = "HTTP/1.1 200 OK\r\nA: b\r\nAlt-Svc: h3=\":443\"; ma=60\r\nAccept: *\r\nalt-svc : h2=\":1\", h3=\":443\",\r\n  h3-29=\":443\"\r\n" +
		"Alt-Svc: clear\nALT-SVC: h3=\":1\"\nContent-Length: 30\r\n\r\n"
	body = "Alt-Svc: h3=\":443\"\r\nalt-svc: h3"
	want = "HTTP/1.1 200 OK\r\nA: b\r\nAccept: *\r\nalt-svc : h2=\":1\"\r\nAlt-Svc: clear\nContent-Length: 30\r\n\r\n"
)

// TestLines edits two answers however they are cut, and keeps nothing back but lines that may be announcements.
func TestLines(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		var l Lines
		var got, line []byte // what was forwarded, and the line that is not finished
		bodies, said := 0, 0
		text := head + body + head + body
		for text != "" {
			n := min(1+random.IntN(1<<(i%9)), len(text))
			piece := []byte(text[:n])
			for k, c := range piece {
				switch {
				case bodies > 0:
					bodies--
				default:
					line = append(line, c)
				}
				if c != '\n' || len(line) == 0 {
					continue
				}
				if len(bytes.TrimSpace(line)) == 0 {
					bodies = len(body)
				} else if !bytes.HasPrefix(line, []byte("HTTP")) {
					l.Line(line, len(line)+n-k-1)
				}
				line = line[:0]
			}
			said += n
			got = append(got, l.Edit(piece, line)...)
			for k := range piece { // no longer valid
				piece[k] = 0xaa
			}
			if text = text[n:]; bodies > 0 && len(l.kept) > 0 {
				t.Fatal("a part of a body is kept back")
			}
		}
		if string(got) != want+body+want+body {
			t.Fatalf("forwarded %q", got)
		}
	}
}

// TestLongLine keeps back no more than it should of a line without an end, and forwards it.
func TestLongLine(t *testing.T) {
	var l Lines
	var got int
	line := []byte("Alt-Svc: ")
	for range 100 {
		more := []byte(strings.Repeat("x", 4<<10))
		line = append(line, more...)
		got += len(l.Edit(more, line))
		if len(l.kept) > maxLine {
			t.Fatalf("%d bytes are kept", len(l.kept))
		}
	}
	end := []byte("h3\r\n")
	l.Line(append(line, end...), len(line)+len(end))
	if got += len(l.Edit(end, nil)); got != 100*4<<10+len(end) {
		t.Errorf("%d bytes were forwarded", got)
	}
}

// BenchmarkLines is for answers without announcements.
func BenchmarkLines(b *testing.B) {
	text := []byte(strings.ReplaceAll(head, "h3", "h2"))
	var l Lines
	for b.Loop() {
		l.Forget()
		l.Edit(text, nil)
	}
}
