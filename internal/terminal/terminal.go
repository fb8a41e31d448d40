// Package terminal writes to a person's terminal: text that hostile bytes can't turn into commands, columns that line up,
// and the progress of a long run. Strings go in, what is safe to show goes out. It knows nothing of events.
package terminal

import (
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Is tells whether a file is a terminal.
func Is(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// Width returns the number of columns of a terminal, or 0 for any other file.
func Width(f *os.File) int {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(ws.Col)
}

// hostile says that a rune must not reach a terminal as it is: it is a control character, or it changes what the text
// beside it seems to say (Unicode TR 36: direction overrides, invisible separators).
func hostile(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0, r == utf8.RuneError:
		return true
	case r < 0x0300:
		return r == 0xad
	}
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs)
}

// Escape returns the string with everything that a terminal could obey as a Go escape sequence.
func Escape(s string) string {
	if strings.IndexFunc(s, hostile) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && invalid(s[i:]):
			appendHex(&b, 'x', uint32(s[i]), 2)
		case !hostile(r):
			b.WriteRune(r)
		case r < 0x100:
			appendHex(&b, 'x', uint32(r), 2)
		case r < 0x10000:
			appendHex(&b, 'u', uint32(r), 4)
		default:
			appendHex(&b, 'U', uint32(r), 8)
		}
	}
	return b.String()
}

func invalid(s string) bool {
	_, n := utf8.DecodeRuneInString(s)
	return n == 1
}

func appendHex(b *strings.Builder, kind byte, v uint32, digits int) {
	const hex = "0123456789abcdef"
	b.WriteByte('\\')
	b.WriteByte(kind)
	for d := digits - 1; d >= 0; d-- {
		b.WriteByte(hex[v>>(4*d)&15])
	}
}

// AppendJSON appends JSON text with what a terminal could obey as \u escapes: the same value, safe to print. JSON
// has such characters only within its strings; line ends between values stay.
func AppendJSON(dst, src []byte) []byte {
	for len(src) > 0 {
		if c := src[0]; c < utf8.RuneSelf && c != 0x7f {
			n := plain(src)
			dst, src = append(dst, src[:n]...), src[n:]
			continue
		}
		r, n := utf8.DecodeRune(src)
		if !hostile(r) || r == utf8.RuneError && n > 1 {
			dst = append(dst, src[:n]...)
		} else {
			dst = appendUTF16(dst, r)
		}
		src = src[n:]
	}
	return dst
}

// plain returns the length of the run of harmless ASCII that b begins with.
func plain(b []byte) int {
	for i, c := range b {
		if c >= 0x7f {
			return i
		}
	}
	return len(b)
}

func appendUTF16(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	unit := func(u rune) {
		dst = append(dst, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
	}
	if r < 0x10000 {
		unit(r)
		return dst
	}
	r -= 0x10000 // RFC 8259, section 7: a surrogate pair
	unit(0xd800 + r>>10)
	unit(0xdc00 + r&0x3ff)
	return dst
}
