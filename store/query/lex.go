package query

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// lexer cuts text into words. Which characters end a word depends on where it stands, so the parser says what it expects.
type lexer struct {
	text string
	pos  int
}

// word is a value as it was written.
type word struct {
	start, end int
	pattern    pattern
	quoted     bool
}

// raw returns the word without its escapes.
func (w word) raw() string { return w.pattern.raw() }

func (l *lexer) skipSpace() {
	for l.pos < len(l.text) {
		r, n := utf8.DecodeRuneInString(l.text[l.pos:])
		if !unicode.IsSpace(r) {
			return
		}
		l.pos += n
	}
}

// peek returns the next byte, or 0 at the end.
func (l *lexer) peek() byte {
	if l.pos < len(l.text) {
		return l.text[l.pos]
	}
	return 0
}

// take moves on if s comes next.
func (l *lexer) take(s string) bool {
	if strings.HasPrefix(l.text[l.pos:], s) {
		l.pos += len(s)
		return true
	}
	return false
}

// operator reads a comparison, after spaces. It returns "" and stays where it is if there is none.
func (l *lexer) operator() string {
	at := l.pos
	l.skipSpace()
	for _, op := range [...]string{":", ">=", "<=", "!=", ">", "<", "="} {
		if l.take(op) {
			return op
		}
	}
	l.pos = at
	return ""
}

// name reads what could be the name of a field: letters, digits, dots and underscores.
func (l *lexer) name() string {
	at := l.pos
	for isNameByte(l.peek()) {
		l.pos++
	}
	return l.text[at:l.pos]
}

func isNameByte(c byte) bool {
	return c == '.' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// value reads a word up to a space, a parenthesis, a quotation mark or one of the bytes in stop.
func (l *lexer) value(stop string) (word, *Error) {
	if l.peek() == '"' {
		return l.quoted()
	}
	w := word{start: l.pos}
	for l.pos < len(l.text) {
		r, n := utf8.DecodeRuneInString(l.text[l.pos:])
		switch {
		case r == utf8.RuneError && n == 1:
			return w, &Error{l.pos, l.pos + 1, "the search is not valid UTF-8; in quotes, write a byte as \\xHH", ""}
		case unicode.IsSpace(r), strings.ContainsRune(`()"`, r), strings.ContainsRune(stop, r):
			w.end = l.pos
			return w, nil
		case r == '\\':
			if err := l.escaped(&w); err != nil {
				return w, err
			}
			continue
		case r == '*':
			w.pattern = w.pattern.wild(anyText)
		case r == '?':
			w.pattern = w.pattern.wild(anyRune)
		default:
			w.pattern = w.pattern.literal(l.text[l.pos : l.pos+n])
		}
		l.pos += n
	}
	w.end = l.pos
	return w, nil
}

// escaped reads a backslash and the character that it makes literal.
func (l *lexer) escaped(w *word) *Error {
	_, n := utf8.DecodeRuneInString(l.text[l.pos+1:])
	if n == 0 {
		return &Error{l.pos, l.pos + 1, `a backslash needs a character behind it; write \\ for a backslash`, `\\`}
	}
	c := l.text[l.pos+1 : l.pos+1+n]
	if !utf8.ValidString(c) {
		return &Error{l.pos + 1, l.pos + 2, "the search is not valid UTF-8; in quotes, write a byte as \\xHH", ""}
	}
	w.pattern = w.pattern.literal(c)
	l.pos += 1 + n
	return nil
}

// quoted reads a word in quotation marks, in which * and ? are what they are.
func (l *lexer) quoted() (word, *Error) {
	w := word{start: l.pos, quoted: true}
	l.pos++
	var b strings.Builder
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; c {
		case '"':
			l.pos++
			w.end = l.pos
			w.pattern = w.pattern.literal(b.String())
			return w, nil
		case '\\':
			if err := l.quotedEscape(&b); err != nil {
				return w, err
			}
		default:
			r, n := utf8.DecodeRuneInString(l.text[l.pos:])
			if r == utf8.RuneError && n == 1 {
				return w, &Error{l.pos, l.pos + 1, "the search is not valid UTF-8; in quotes, write a byte as \\xHH", ""}
			}
			b.WriteString(l.text[l.pos : l.pos+n])
			l.pos += n
		}
	}
	return w, &Error{w.start, l.pos, `the quotation mark is never closed`, l.text[w.start:] + `"`}
}

func (l *lexer) quotedEscape(b *strings.Builder) *Error {
	rest := l.text[l.pos+1:]
	if rest == "" {
		return &Error{l.pos, l.pos + 1, `a backslash needs a character behind it; write \\ for a backslash`, `\\`}
	}
	switch rest[0] {
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case 'x':
		if len(rest) < 3 || !isHex(rest[1]) || !isHex(rest[2]) {
			return &Error{l.pos, min(l.pos+4, len(l.text)), `\x needs two hexadecimal digits behind it; write \\ for a backslash`, ""}
		}
		b.WriteByte(unhex(rest[1])<<4 | unhex(rest[2]))
		l.pos += 4
		return nil
	case '"', '\\', '*', '?':
		b.WriteByte(rest[0])
	default:
		return &Error{l.pos, l.pos + 2, `in quotes a backslash stands before " \ n r t or x only; write \\ for a backslash`, ""}
	}
	l.pos += 2
	return nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}
