package query

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// part is a piece of a pattern: literal text, or a wildcard.
type part struct {
	kind partKind
	text string // of a literal
}

type partKind uint8

const (
	literal partKind = iota
	anyText          // * : any bytes, or none
	anyRune          // ? : one character of UTF-8
)

// pattern is text with wildcards. Two literals never stand side by side, nor do two stars. Upper and lower case of the
// letters A to Z are the same; all else is compared byte by byte, so that the database and Match can't disagree.
type pattern []part

func (p pattern) literal(s string) pattern {
	if s == "" {
		return p
	}
	if n := len(p); n > 0 && p[n-1].kind == literal {
		p[n-1].text += s
		return p
	}
	return append(p, part{literal, s})
}

func (p pattern) wild(k partKind) pattern {
	if n := len(p); k == anyText && n > 0 && p[n-1].kind == anyText {
		return p
	}
	return append(p, part{kind: k})
}

// plain returns the text of a pattern without wildcards.
func (p pattern) plain() (string, bool) {
	switch {
	case len(p) == 0:
		return "", true
	case len(p) == 1 && p[0].kind == literal:
		return p[0].text, true
	}
	return "", false
}

// isStar reports whether the pattern is a lone *.
func (p pattern) isStar() bool { return len(p) == 1 && p[0].kind == anyText }

// cutStar returns the pattern without the star at i, the first or the last place.
func (p pattern) cutStar(i int) (rest pattern, ok bool) {
	if i < 0 || i >= len(p) || p[i].kind != anyText {
		return p, false
	}
	if i == 0 {
		return p[1:], true
	}
	return p[:i], true
}

// raw returns the pattern as one would write it if nothing needed an escape.
func (p pattern) raw() string {
	var b strings.Builder
	for _, x := range p {
		switch x.kind {
		case anyText:
			b.WriteByte('*')
		case anyRune:
			b.WriteByte('?')
		default:
			b.WriteString(x.text)
		}
	}
	return b.String()
}

// unanchored returns the pattern that finds p anywhere in a text.
func (p pattern) unanchored() pattern {
	return pattern{{kind: anyText}}.join(p).wild(anyText)
}

func (p pattern) join(q pattern) pattern {
	for _, x := range q {
		if x.kind == literal {
			p = p.literal(x.text)
		} else {
			p = p.wild(x.kind)
		}
	}
	return p
}

// lower returns the pattern in lower case.
func (p pattern) lower() pattern {
	q := make(pattern, len(p))
	for i, x := range p {
		q[i] = part{x.kind, lowerASCII(x.text)}
	}
	return q
}

// match reports whether the pattern, which is in lower case, covers all of s, which is too. Each piece between two stars is
// sought once, at the first place where it fits, so the time is linear in s.
func (p pattern) match(s string) bool {
	pieces := p.pieces()
	s, ok := trimPiece(s, pieces[0])
	if !ok || len(pieces) == 1 {
		return ok && s == ""
	}
	last := len(pieces) - 1
	for _, piece := range pieces[1:last] {
		if s, ok = cutPiece(s, piece); !ok {
			return false
		}
	}
	return endsInPiece(s, pieces[last])
}

// pieces cuts the pattern at its stars.
func (p pattern) pieces() []pattern {
	var out []pattern
	from := 0
	for i, x := range p {
		if x.kind == anyText {
			out = append(out, p[from:i])
			from = i + 1
		}
	}
	return append(out, p[from:])
}

// trimPiece takes a piece without stars off the front of s.
func trimPiece(s string, piece pattern) (rest string, ok bool) {
	for _, x := range piece {
		n := len(x.text)
		if x.kind == anyRune {
			n = runeLen(s)
		}
		if n == 0 || len(s) < n || x.kind == literal && s[:n] != x.text {
			return s, false
		}
		s = s[n:]
	}
	return s, true
}

// cutPiece returns what follows the first place in s where the piece fits.
func cutPiece(s string, piece pattern) (rest string, ok bool) {
	if text, plain := piece.plain(); plain {
		_, rest, ok = strings.Cut(s, text)
		return rest, ok
	}
	for ; s != ""; s = s[1:] {
		if rest, ok = trimPiece(s, piece); ok {
			return rest, true
		}
	}
	return "", false
}

// endsInPiece reports whether the piece fits at the end of s.
func endsInPiece(s string, piece pattern) bool {
	for i := len(piece) - 1; i >= 0; i-- {
		x := piece[i]
		if x.kind == literal {
			if !strings.HasSuffix(s, x.text) {
				return false
			}
			s = s[:len(s)-len(x.text)]
			continue
		}
		n := 1
		for n < min(4, len(s)) && s[len(s)-n]&0xc0 == 0x80 {
			n++
		}
		if s == "" || runeLen(s[len(s)-n:]) != n {
			return false
		}
		s = s[:len(s)-n]
	}
	return true
}

// runeLen returns the length of the character that s begins with, 0 if there is none. It takes the same byte sequences for
// characters as RE2 does, which the database uses: any lead byte with the right number of continuation bytes.
func runeLen(s string) int {
	if s == "" {
		return 0
	}
	n := 0
	switch c := s[0]; {
	case c < 0x80:
		return 1
	case 0xc2 <= c && c < 0xe0:
		n = 2
	case 0xe0 <= c && c < 0xf0:
		n = 3
	case 0xf0 <= c && c < 0xf5:
		n = 4
	}
	if n > len(s) {
		return 0
	}
	for i := 1; i < n; i++ {
		if s[i]&0xc0 != 0x80 {
			return 0
		}
	}
	return n
}

// regexp returns the pattern for RE2. A star is \C*, not .*, because hostile bytes are often no UTF-8.
func (p pattern) regexp() string {
	var b strings.Builder
	b.WriteString("(?s)^")
	for _, x := range p {
		switch x.kind {
		case anyText:
			b.WriteString(`\C*`)
		case anyRune:
			b.WriteString(`.`)
		default:
			b.WriteString(regexp.QuoteMeta(x.text))
		}
	}
	b.WriteString("$")
	return b.String()
}

// lowerASCII turns A to Z into a to z and leaves all other bytes alone, as ClickHouse's lower does.
func lowerASCII(s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for j, c := range b[i:] {
				if 'A' <= c && c <= 'Z' {
					b[i+j] = c + 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// quote writes a value so that the lexer reads the same pattern: bare if it can be, else in quotation marks, and a pattern
// with wildcards always bare, with backslashes.
func (p pattern) quote() string {
	text, plain := p.plain()
	if plain {
		if text == "" || !isBare(text) {
			return quoteText(text)
		}
		return text
	}
	var b strings.Builder
	for _, x := range p {
		if x.kind != literal {
			b.WriteString(pattern{x}.raw())
			continue
		}
		for _, r := range x.text {
			if unicode.IsSpace(r) || strings.ContainsRune(special, r) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// special are the characters that mean something somewhere in a value.
const special = `()"[]\*?:<>=!`

// isBare reports whether the text needs no quotation marks wherever a value can stand.
func isBare(s string) bool {
	switch strings.ToLower(s) {
	case "and", "or", "not", "to":
		return false
	}
	for _, r := range s {
		if r == utf8.RuneError || unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(special, r) {
			return false
		}
	}
	return true
}

func quoteText(s string) string {
	b := []byte{'"'}
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == utf8.RuneError && n == 1 || unicode.IsControl(r):
			for i := range n {
				b = fmt.Appendf(b, `\x%02x`, s[i])
			}
		default:
			b = append(b, s[:n]...)
		}
		s = s[n:]
	}
	return string(append(b, '"'))
}
