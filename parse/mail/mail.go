// Package mail takes a message apart as it passes (RFC 5322, RFC 2045 to 2047, RFC 2231): its bytes go in, an event.Mail and the
// files attached to it come out. Besides what these keep, it holds one line. It knows nothing of how messages are transferred.
package mail

import (
	"bytes"
	"slices"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/content"
)

// Anomaly codes.
const (
	badField        = "mail_bad_field"       // a header line without a name: the header ends there, or so some think
	duplicateField  = "mail_duplicate_field" // some show the first, some the last
	headerTooLarge  = "mail_header_too_large"
	badBoundary     = "mail_bad_boundary" // a multipart without one, or with one that is too long
	unclosedPart    = "mail_unclosed_part"
	tooDeep         = "mail_nested_too_deep"
	tooManyParts    = "mail_too_many_parts"
	unknownEncoding = "mail_unknown_encoding" // left as it is
	badBase64       = "mail_bad_base64"       // characters that are none are skipped, as everybody does
)

const (
	maxDepth     = 16       // multiparts and messages in each other
	maxBoundary  = 256      // bytes; RFC 2046 section 5.1.1 allows 70
	maxLine      = 16 << 10 // bytes of a line in a header; RFC 5322 section 2.1.1 allows 998
	maxDelimiter = 1 << 10  // bytes of a line that may be a delimiter, white space at its end included
	mediaMessage = "message/rfc822"
)

// Message takes one message. End and then Release must be called in the end, whatever happened.
type Message struct {
	out   *parse.Output
	keep  func(n int) bool
	mail  event.Mail
	files []event.File
	noted []string // anomalies, to tell of each once

	whole  *content.Sink // the message itself
	text   *content.Sink // its parts that are text; nil before the first
	copies []copied      // messages inside that are at hand, the outermost first
	levels []level       // multiparts that are at hand, the outermost first
	header header
	leaf   *leaf // the part at hand, nil if nobody wants its bytes
	parts  int

	fields bool   // a header is at hand
	held   []byte // the beginning of a line that must be seen as a whole
	inside bool   // the beginning of the line has been passed on
	long   bool   // and it is of a header, and too long
	lost   bool   // something was not seen
	eol    []byte // a line end that belongs to a delimiter if one follows
	fresh  bool   // that line end is not the leaf's
}

// level is a multipart.
type level struct {
	boundary string
	digest   bool // its parts are messages unless they say otherwise
}

// copied is a message inside of the message, which is a file as well.
type copied struct {
	depth int // levels around it
	name  string
	sink  *content.Sink
}

// New returns what takes a message. It asks keep for room before it keeps text, and drops what gets none.
func New(out *parse.Output, keep func(n int) bool) *Message {
	return &Message{out: out, keep: keep, whole: content.New(out, ""), fields: true}
}

// Write takes the next bytes of the message.
func (m *Message) Write(b []byte) {
	m.whole.Write(b)
	for len(b) > 0 {
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			n = len(b)
		}
		m.piece(b[:n])
		b = b[n:]
	}
}

// Gap tells of n bytes that were not seen (0: unknown).
func (m *Message) Gap(n int) {
	m.whole.Gap(n)
	m.endLong()
	if m.fields {
		m.endHeader()
		m.fields = false
	}
	m.held, m.inside, m.eol, m.lost = m.held[:0], true, m.eol[:0], true
	for i := range m.copies {
		m.copies[i].sink.Gap(n)
	}
	if m.text != nil {
		m.text.Gap(n)
	}
	if m.leaf != nil && m.leaf.sink != m.text {
		m.leaf.sink.Gap(n)
	}
}

// End ends the message, whose state says whether all of it was seen. The files lack what only the protocol knows.
func (m *Message) End(state event.State) (*event.Mail, []event.File) {
	if len(m.held) > 0 {
		m.line(m.held)
		m.held = nil
	}
	m.endLong()
	m.flush()
	if m.fields {
		m.endHeader()
		m.fields = false
	}
	if len(m.levels) > 0 && state == event.Complete {
		m.note(unclosedPart)
	}
	m.close(0, state)
	m.mail.Content = m.whole.Finish(state)
	m.mail.Type = mediaMessage
	if m.text != nil {
		c := m.text.Finish(state)
		m.mail.Text = &c
	}
	return &m.mail, m.files
}

// Release gives back the memory of what End returned. Whoever has that by now answers for it.
func (m *Message) Release() {
	m.whole.Release()
	if m.text != nil {
		m.text.Release()
	}
}

// piece takes a line, or what there is of it. The beginning of one that may be a delimiter or is of a header is held.
func (m *Message) piece(b []byte) {
	ended := b[len(b)-1] == '\n'
	if m.inside {
		m.pass(b)
		if m.inside = !ended; ended {
			m.endLong()
		}
		return
	}
	if len(m.held) > 0 {
		m.held = append(m.held, b...)
		b = m.held
	}
	if !ended && m.waits(b) {
		if len(m.held) == 0 {
			m.held = append(m.held, b...)
		}
		return
	}
	m.inside = !ended
	m.line(b)
	m.held = m.held[:0]
}

// waits reports whether the line that begins with b must be seen as a whole.
func (m *Message) waits(b []byte) bool {
	if m.fields {
		return len(b) <= min(maxLine, m.out.Limits.Header)
	}
	return len(m.levels) > 0 && len(b) <= maxDelimiter && b[0] == '-' && (len(b) == 1 || b[1] == '-')
}

// line takes a line, or the beginning of one that is too long to be of interest as a whole.
func (m *Message) line(b []byte) {
	if i, last := m.delimits(b); i >= 0 {
		m.delimiter(i, last)
		m.pass(b)
		return
	}
	switch {
	case m.fields && m.inside:
		m.long = true
	case m.fields && isField(b):
		m.pass(b)
		m.field(b)
		return
	case m.fields: // the header has ended, and this is content
		m.note(badField)
		m.endHeader()
	}
	m.pass(b)
}

// endLong tells of a line of a header that was too long, when it ends.
func (m *Message) endLong() {
	if m.long {
		m.note(headerTooLarge)
	}
	m.long = false
}

// delimits returns the level that a line is a delimiter of, -1 if it is none, and whether it is the last one.
func (m *Message) delimits(b []byte) (int, bool) {
	if len(m.levels) == 0 || len(b) > maxDelimiter || !bytes.HasPrefix(b, []byte("--")) {
		return -1, false
	}
	b = bytes.TrimRight(b[2:], " \t\r\n")
	for i := len(m.levels) - 1; i >= 0; i-- {
		if rest, ok := bytes.CutPrefix(b, []byte(m.levels[i].boundary)); ok && (len(rest) == 0 || string(rest) == "--") {
			return i, len(rest) > 0
		}
	}
	return -1, false
}

// delimiter ends a part of that level, and begins the next one unless it was the last.
func (m *Message) delimiter(i int, last bool) {
	if m.fields {
		m.endHeader()
	}
	m.close(i+1, event.Complete)
	if m.fields = !last; last {
		m.levels = m.levels[:i]
		return
	}
	m.header.reset()
}

// close ends what lies inside of so many levels.
func (m *Message) close(depth int, state event.State) {
	m.endLeaf(state)
	for len(m.copies) > 0 && m.copies[len(m.copies)-1].depth >= depth {
		c := &m.copies[len(m.copies)-1]
		m.file(c.name, mediaMessage, c.sink, state)
		m.copies = m.copies[:len(m.copies)-1]
	}
	m.levels = m.levels[:min(len(m.levels), depth)]
}

// pass hands on content but for the line end, which waits for the next line.
func (m *Message) pass(b []byte) {
	if len(m.copies) == 0 && m.leaf == nil {
		m.eol = m.eol[:0]
		return
	}
	if b[0] == '\n' && string(m.eol) == "\r" {
		m.eol, b = append(m.eol, '\n'), b[1:]
	}
	if len(b) == 0 {
		return
	}
	m.flush()
	m.fresh = false
	rest := bytes.TrimSuffix(b, []byte("\n"))
	rest = bytes.TrimSuffix(rest, []byte("\r"))
	m.give(rest)
	m.eol = append(m.eol, b[len(rest):]...)
}

// flush hands on the line end that waits.
func (m *Message) flush() {
	m.give(m.eol)
	m.eol = m.eol[:0]
}

func (m *Message) give(b []byte) {
	if len(b) == 0 {
		return
	}
	for i := range m.copies {
		m.copies[i].sink.Write(b)
	}
	if m.leaf != nil && !m.fresh {
		m.leaf.write(b)
	}
}

// note tells of an anomaly, once.
func (m *Message) note(code string) {
	if !slices.Contains(m.noted, code) {
		m.noted = append(m.noted, code)
		m.out.Anomaly(code)
	}
}
