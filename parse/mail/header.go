package mail

import (
	"bytes"
	"slices"
	"strings"

	"github.com/vitrine-ndr/vitrine/parse/content"
)

const (
	maxPartHeader = 32 << 10 // bytes of the header of a part
	maxParameters = 64       // of one field
)

// header collects the fields of a message or part.
type header struct {
	nested bool     // it is not that of the message itself
	fields []string // as name: value, unfolded
	open   []byte   // the last one, to which more may be added; empty if that was dropped
	size   int
}

func (h *header) reset() { *h = header{nested: true, open: h.open[:0]} }

// done closes the last field.
func (h *header) done() {
	if len(h.open) > 0 {
		h.fields = append(h.fields, string(h.open))
	}
	h.open = h.open[:0]
}

// isField reports whether a line may stand in a header: a field, more of one, or the empty line at its end.
func isField(line []byte) bool {
	if c := line[0]; c == ' ' || c == '\t' || c == '\r' || c == '\n' {
		return true
	}
	name, _, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	return ok && len(name) > 0 && !bytes.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c >= 0x7f })
}

// field takes a line of a header.
func (m *Message) field(line []byte) {
	h := &m.header
	line = bytes.TrimRight(line, "\r\n")
	if len(line) == 0 {
		m.endHeader()
		return
	}
	folded := line[0] == ' ' || line[0] == '\t'
	if !folded {
		h.done()
	} else if len(h.open) == 0 {
		return // more of a field that was dropped
	}
	most := m.out.Limits.Header
	if h.nested {
		most = min(most, maxPartHeader)
	}
	if h.size += len(line); h.size > most || !h.nested && !m.keep(len(line)) {
		m.note(headerTooLarge)
		h.done()
		return
	}
	if folded {
		h.open = append(h.open, line...)
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	h.open = append(append(append(h.open, bytes.TrimRight(name, " \t")...), ": "...), bytes.TrimLeft(value, " \t")...)
}

// endHeader acts on what a header says.
func (m *Message) endHeader() {
	h := &m.header
	h.done()
	if !h.nested {
		m.describe(h.fields)
	}
	m.fields = false
	m.open(h.fields)
}

// describe tells what the header of the message says.
func (m *Message) describe(fields []string) {
	e := &m.mail
	e.Headers = slices.Clip(fields)
	text := func(name string) string {
		value, _ := content.Header(fields, name)
		return words(value)
	}
	e.From, e.ReplyTo, e.Subject, e.Date = text("from"), text("reply-to"), text("subject"), text("date")
	e.ID = strings.Trim(text("message-id"), "<> \t")
	e.To, e.Cc = addresses(all(fields, "to"), m.out.Limits.Open), addresses(all(fields, "cc"), m.out.Limits.Open)
	for _, name := range [...]string{"from", "to", "cc", "reply-to", "subject", "date", "message-id", "content-type", "content-transfer-encoding"} {
		if strings.Contains(all(fields, name), "\n") {
			m.note(duplicateField)
		}
	}
}

// all returns the values of all fields with that name, a line each.
func all(fields []string, name string) string {
	var values []string
	for _, f := range fields {
		if field, value, _ := strings.Cut(f, ":"); strings.EqualFold(field, name) {
			values = append(values, value)
		}
	}
	return strings.Join(values, "\n")
}

// addresses takes lists of them apart at line ends and at the commas that stand for themselves (RFC 5322 section 3.4), and decodes each.
func addresses(list string, most int) []string {
	var out []string
	from, quoted, depth := 0, false, 0
	add := func(s string) {
		if s = strings.Trim(words(s), " \t"); s != "" && len(out) < most {
			out = append(out, s)
		}
	}
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\n', c == ',' && depth == 0 && !quoted:
			add(list[from:i])
			from, quoted, depth = i+1, false, 0
		case c == '\\' && (quoted || depth > 0):
			i++
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		}
	}
	add(list[from:])
	return out
}

// parameters splits a value such as `text/plain; charset="utf-8"` into its first part and its parameters, whose names are in lower case.
func parameters(value string) (string, map[string]string) {
	first, rest, _ := strings.Cut(value, ";")
	ps := map[string]string{}
	for rest != "" && len(ps) < maxParameters {
		end := strings.IndexAny(rest, "=;")
		if end < 0 {
			break
		}
		name := strings.ToLower(strings.Trim(rest[:end], " \t"))
		if rest[end] == ';' {
			rest = rest[end+1:]
			continue
		}
		var v string
		v, rest = parameterValue(strings.TrimLeft(rest[end+1:], " \t"))
		if _, there := ps[name]; !there {
			ps[name] = v
		}
	}
	first = strings.TrimLeft(first, " \t")
	if i := strings.IndexAny(first, " \t("); i >= 0 {
		first = first[:i] // what follows is a comment
	}
	return strings.ToLower(first), ps
}

// parameterValue returns a token or quoted string, and what follows the semicolon behind it.
func parameterValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ";")
		return strings.TrimRight(value, " \t"), rest
	}
	var v strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			_, rest, _ = strings.Cut(s[i+1:], ";")
			return v.String(), rest
		case s[i] == '\\' && i+1 < len(s):
			i++
			fallthrough
		default:
			v.WriteByte(s[i])
		}
	}
	return v.String(), ""
}
