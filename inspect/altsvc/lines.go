package altsvc

import (
	"bytes"
	"slices"
)

// maxLine is how much of an unfinished line is kept back at the most.
const maxLine = 64 << 10

// Lines edits what a server says in HTTP/1: whole lines of its heads. Whoever reads those tells of each by Line; then Edit returns what is
// forwarded. The zero value is for a connection that begins.
type Lines struct {
	kept  []byte // the beginning of a line that may be one of those
	cuts  []cut  // of what is edited next, in order
	ours  bool   // the line before is an announcement, or was: what continues it goes too
	spare []byte // room for what is kept next
}

// cut says that a line is another one, or none.
type cut struct {
	last, length int // the line is at the beginning of the last bytes
	line         []byte
}

// Line takes a line of a head, with its end. It is at the beginning of the last bytes of what was said. It is valid until Line returns.
func (l *Lines) Line(line []byte, last int) {
	if l.ours && isFolded(line) {
		l.cuts = append(l.cuts, cut{last, len(line), nil})
		return
	}
	name, value, found := bytes.Cut(line, []byte(":"))
	if l.ours = found && isName(bytes.TrimRight(name, " \t")); !l.ours {
		return
	}
	was := string(bytes.TrimSpace(value))
	switch is := Without(was); is {
	case was:
	case "":
		l.cuts = append(l.cuts, cut{last, len(line), nil})
	default:
		l.cuts = append(l.cuts, cut{last, len(line), slices.Concat(name, []byte(": "+is+"\r\n"))})
	}
}

// Forget has lines forgotten that are not about what is edited next.
func (l *Lines) Forget() { l.cuts = l.cuts[:0] }

// Edit returns what is forwarded of b, behind what was kept before; it is b itself where nothing changes. open is the line at the end of b that
// is not finished.
func (l *Lines) Edit(b, open []byte) []byte {
	keep := 0
	if l.mayBe(open) && len(open) <= maxLine {
		keep = len(open)
	}
	if len(l.kept)+len(l.cuts)+keep == 0 {
		return b
	}
	if len(l.kept) > 0 {
		b = append(l.kept, b...)
	}
	keep = min(keep, len(b))
	l.kept, l.spare = append(l.spare[:0], b[len(b)-keep:]...), l.kept[:0]
	return l.apply(b, len(b)-keep)
}

// apply returns the first bytes of b with what was noted of lines.
func (l *Lines) apply(b []byte, first int) []byte {
	var out []byte
	from := 0
	for _, c := range l.cuts {
		if at := len(b) - c.last; at >= from && at+c.length <= first { // else its beginning is gone already
			out = append(append(out, b[from:at]...), c.line...)
			from = at + c.length
		}
	}
	if l.Forget(); from == 0 {
		return b[:first]
	}
	return append(out, b[from:first]...)
}

// mayBe tells whether a line that begins so may have to be changed.
func (l *Lines) mayBe(line []byte) bool {
	if len(line) == 0 {
		return false
	}
	n := min(len(line), len(Name))
	return l.ours && isFolded(line) || bytes.EqualFold(line[:n], []byte(Name)[:n])
}

func isName(b []byte) bool { return len(b) == len(Name) && bytes.EqualFold(b, []byte(Name)) }

// isFolded tells whether a line continues the one before (RFC 9112, section 5.2).
func isFolded(line []byte) bool { return line[0] == ' ' || line[0] == '\t' }
