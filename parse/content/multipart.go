package content

import (
	"bytes"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/parse"
)

// TooManyParts is the anomaly code of a form with more files than Limits.Open.
const TooManyParts = "content_too_many_parts"

const (
	maxBoundary   = 256     // bytes; RFC 2046 section 5.1.1 allows 70
	maxPartHeader = 8 << 10 // bytes
)

// multipart takes the files out of a multipart/form-data body (RFC 7578) as it passes. It keeps one line at the most.
type multipart struct {
	out       *parse.Output
	delimiter []byte // LF and what follows it; a CR before it belongs to it as well
	step      func(m *multipart, b []byte) (int, bool)
	held      []byte // what the last step could not decide on
	lead      []byte // the line end before a delimiter, which is content if that turns out to be none
	header    int    // bytes of the part's header so far
	name      string // of the part's file; empty if it has none
	sink      *Sink  // of the part's file, nil if it has none
	files     []partFile
}

type partFile struct {
	name    string
	content event.Content
}

// newMultipart returns nil unless the content type is that of a form with a boundary.
func newMultipart(out *parse.Output, contentType string) *multipart {
	if mediaType(contentType) != "multipart/form-data" {
		return nil
	}
	boundary, _ := parameter(contentType, "boundary")
	if boundary == "" || len(boundary) > maxBoundary {
		return nil
	}
	return &multipart{out: out, delimiter: []byte("\n--" + boundary), step: (*multipart).start}
}

// write takes the next bytes of the form. A step consumes a prefix and says whether there is more to be done with what
// follows; what it leaves is held.
func (m *multipart) write(b []byte) {
	if m.step == nil {
		return
	}
	if len(m.held) > 0 {
		m.held = append(m.held, b...)
		b = m.held
	}
	for again := true; again && m.step != nil; {
		var n int
		n, again = m.step(m, b)
		b = b[n:]
	}
	m.held = append(m.held[:0], b...)
}

// start looks for a delimiter at the very beginning, without a line end before it: that of the first part, or of one that
// ends an empty part.
func (m *multipart) start(b []byte) (int, bool) {
	delimiter := m.delimiter[1:]
	if len(b) < len(delimiter) && bytes.HasPrefix(delimiter, b) {
		return 0, false
	}
	m.step, m.lead = (*multipart).body, nil
	if bytes.HasPrefix(b, delimiter) {
		m.step = (*multipart).afterDelimiter
	}
	return 0, true
}

// body passes on the bytes up to the next delimiter.
func (m *multipart) body(b []byte) (int, bool) {
	if i := bytes.Index(b, m.delimiter); i >= 0 {
		content := bytes.TrimSuffix(b[:i], []byte("\r"))
		m.pass(content)
		m.lead = append(m.lead[:0], b[len(content):i+1]...)
		m.step = (*multipart).afterDelimiter
		return i + 1, true
	}
	n := len(b) - m.undecided(b)
	m.pass(b[:n])
	return n, false
}

// undecided returns how many of the last bytes may belong to a delimiter.
func (m *multipart) undecided(b []byte) int {
	for i := max(0, len(b)-len(m.delimiter)+1); i < len(b); i++ {
		if b[i] == '\n' && bytes.HasPrefix(m.delimiter, b[i:]) {
			if i > 0 && b[i-1] == '\r' {
				i--
			}
			return len(b) - i
		}
	}
	if bytes.HasSuffix(b, []byte("\r")) {
		return 1
	}
	return 0
}

// afterDelimiter finds out whether b, which begins with the delimiter but its line end, really ends the part.
func (m *multipart) afterDelimiter(b []byte) (int, bool) {
	delimiter := m.delimiter[1:]
	rest := b[len(delimiter):]
	if len(rest) < 2 {
		return 0, false
	}
	switch rest[0] {
	case '-':
		if rest[1] != '-' {
			break
		}
		m.close(event.Complete)
		m.step = nil
		return len(b), false
	case ' ', '\t', '\r', '\n':
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			if len(rest) > maxPartHeader {
				m.step = nil
			}
			return 0, false
		}
		m.close(event.Complete)
		m.step, m.header = (*multipart).headers, 0
		return len(delimiter) + end + 1, true
	}
	m.pass(m.lead)
	m.pass(delimiter)
	m.step = (*multipart).body
	return len(delimiter), true
}

// headers reads a line of the part's header. One that is too long is taken for content.
func (m *multipart) headers(b []byte) (int, bool) {
	line, _, whole := bytes.Cut(b, []byte("\n"))
	if m.header+len(line) > maxPartHeader {
		m.step = (*multipart).body
		return 0, true
	}
	if !whole {
		return 0, false
	}
	n := len(line) + 1
	m.header += n
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		m.step = (*multipart).start
		if m.name != "" {
			m.open()
		}
	} else if value, ok := valueOf(string(line), "content-disposition"); ok {
		m.name = dispositionName(value)
	}
	return n, true
}

func (m *multipart) open() {
	if len(m.files) >= m.out.Limits.Open {
		m.out.Anomaly(TooManyParts)
		m.step = nil
		return
	}
	m.sink = New(m.out, "")
}

func (m *multipart) pass(b []byte) {
	if m.sink != nil && len(b) > 0 {
		m.sink.Write(b)
	}
}

// gap tells of missing bytes: the part goes on after them, or the next one is looked for.
func (m *multipart) gap(n int) {
	m.held = m.held[:0]
	if m.step == nil {
		return
	}
	m.step = (*multipart).body
	if m.sink != nil {
		m.sink.Gap(n)
	}
}

// end ends the form. A part that is still open was cut off.
func (m *multipart) end() {
	m.close(event.Truncated)
	m.step = nil
}

func (m *multipart) close(state event.State) {
	if m.sink != nil {
		c := m.sink.Finish(state)
		c.Body = nil // it is in that of the form
		m.files = append(m.files, partFile{m.name, c})
		m.sink.Release()
	}
	m.sink, m.name = nil, ""
}
