package http1

import (
	"bytes"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/content"
)

// head collects a start line and field lines. Its buffers are used again.
type head struct {
	started bool // there is a start line
	method  string
	target  string
	version string
	status  uint16
	reason  string

	fields []byte // as "Name: value", one behind the other
	ends   []int  // of each
	size   int    // bytes of the lines so far
}

func (h *head) reset() { *h = head{fields: h.fields[:0], ends: h.ends[:0]} }

// lines returns the field lines, which it forgets.
func (h *head) lines() []string {
	if len(h.ends) == 0 {
		return nil
	}
	all, from := string(h.fields), 0
	lines := make([]string, len(h.ends))
	for i, end := range h.ends {
		lines[i], from = all[from:end], end
	}
	h.fields, h.ends = h.fields[:0], h.ends[:0]
	return lines
}

// line returns the first line of b without its end, and its length with it: 0 if the end is yet to come, and then what has
// been searched is not searched again.
func (p *parser) line(s *side, b []byte) ([]byte, int) {
	i := bytes.IndexByte(b[s.scanned:], '\n')
	if i < 0 {
		s.scanned = len(b)
		return nil, 0
	}
	n := s.scanned + i + 1
	s.scanned = 0
	return b[:n-1], n
}

// tidy drops the CR of a line end and tells of lines whose end is in doubt.
func (p *parser) tidy(s *side, line []byte) []byte {
	line, found := bytes.CutSuffix(line, []byte("\r"))
	if !found {
		p.note(s, bareLF)
	}
	if bytes.IndexByte(line, '\r') >= 0 {
		p.note(s, bareCR)
	}
	return line
}

// tooLong says whether a line does not fit the limit, as soon as that is certain. n is 0 or its length.
func (p *parser) tooLong(n int, b []byte) bool {
	return n > p.out.Limits.Header || n == 0 && len(b) >= p.out.Limits.Header
}

// start reads a request line or a status line. Empty lines before it are skipped (RFC 9112 section 2.2).
func (p *parser) start(s *side, b []byte) (int, bool) {
	if s.began.IsZero() {
		s.began, s.from = p.out.Seen(), s.at
	}
	line, n := p.line(s, b)
	if p.tooLong(n, b) {
		p.note(s, headTooLarge)
		p.lose(s, "")
		s.state, s.scanned = (*parser).lostLine, 0
		return 0, true
	}
	if n == 0 {
		return 0, false
	}
	if len(bytes.TrimRight(line, "\r")) == 0 {
		s.reset()
		return n, true
	}
	line = p.tidy(s, line)
	read, code := s.head.request, badRequestLine
	if s.dir == flow.ToClient {
		read, code = s.head.response, badStatusLine
	}
	if !read(line) {
		p.note(s, code)
		p.lose(s, "")
		return n, true
	}
	if strings.ContainsAny(s.head.target, " \t") {
		p.note(s, spaceInTarget)
	}
	s.head.started, s.head.size = true, n
	s.state = (*parser).headers
	return n, true
}

// request reads a request line. Targets with spaces are let through, as some servers do.
func (h *head) request(line []byte) bool {
	method, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || !isToken(method) {
		return false
	}
	target, version, ok := cutLast(bytes.Trim(rest, " "), ' ')
	if !ok || !isVersion(version) || len(target) == 0 {
		return false
	}
	h.method, h.target, h.version = string(method), string(bytes.Trim(target, " ")), string(version)
	return true
}

// response reads a status line. The reason may be missing altogether.
func (h *head) response(line []byte) bool {
	if probeStatus(line) != parse.Yes || len(line) > 12 && line[12] != ' ' {
		return false
	}
	h.version = string(line[:8])
	h.status = uint16(line[9]-'0')*100 + uint16(line[10]-'0')*10 + uint16(line[11]-'0')
	h.reason = string(bytes.TrimLeft(line[12:], " "))
	return true
}

// headers reads a field line of the head.
func (p *parser) headers(s *side, b []byte) (int, bool) {
	n, last := p.field(s, b)
	switch {
	case last:
		p.frame(s)
	case n > 0 && s.dir == flow.ToClient && p.out.Line != nil:
		p.out.Line(b[:n], int(s.offered-s.at))
	}
	return n, n > 0
}

// trailers reads a field line behind a chunked body.
func (p *parser) trailers(s *side, b []byte) (int, bool) {
	n, last := p.field(s, b)
	if last {
		if lines := s.head.lines(); s.x != nil {
			s.x.Trailers(s.dir, lines)
		}
		p.end(s, event.Complete)
	}
	return n, n > 0
}

// field reads a field line, or the empty line behind the last. Lines beyond the limit are dropped.
func (p *parser) field(s *side, b []byte) (n int, last bool) {
	line, n := p.line(s, b)
	if p.tooLong(n, b) {
		p.note(s, headTooLarge)
		if n == 0 {
			s.skipped, s.state, s.scanned = s.state, (*parser).longField, 0
			return len(b), false
		}
		return n, false
	}
	if n == 0 {
		return 0, false
	}
	line = p.tidy(s, line)
	if len(line) == 0 {
		return n, true
	}
	if s.head.size += n; s.head.size > p.out.Limits.Header {
		p.note(s, headTooLarge)
		return n, false
	}
	p.addField(s, line)
	return n, false
}

// longField skips the rest of a line that is too long.
func (p *parser) longField(s *side, b []byte) (int, bool) {
	n, ended := restOfLine(b)
	if ended {
		s.state = s.skipped
	}
	return n, true
}

func (p *parser) addField(s *side, line []byte) {
	h := &s.head
	if line[0] == ' ' || line[0] == '\t' { // RFC 9112 section 5.2
		p.note(s, obsFold)
		if len(h.ends) > 0 {
			h.fields = append(append(h.fields, ' '), bytes.Trim(line, " \t")...)
			h.ends[len(h.ends)-1] = len(h.fields)
		}
		return
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	trimmed := bytes.TrimRight(name, " \t")
	switch {
	case !ok || !isToken(trimmed):
		p.note(s, badHeader)
		h.fields = append(h.fields, line...)
	default:
		if len(trimmed) < len(name) {
			p.note(s, spaceBeforeColon)
		}
		h.fields = append(append(append(h.fields, trimmed...), ": "...), bytes.Trim(value, " \t")...)
	}
	h.ends = append(h.ends, len(h.fields))
}

// isToken checks for the characters of RFC 9110 section 5.6.2.
func isToken(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return len(b) > 0
}

// know makes the message part of a transaction. The head is complete, or as complete as it will ever be.
func (p *parser) know(s *side) []string {
	h := &s.head
	lines := h.lines()
	if s.dir == flow.ToServer {
		s.x = p.request(s)
		host, _ := content.Header(lines, "host")
		s.x.Request(h.method, h.target, host, lines)
	} else {
		s.x = p.response(s)
		s.x.Response(h.status, h.reason, lines)
	}
	return lines
}

// request opens a transaction that waits for its response.
func (p *parser) request(s *side) *exchange {
	x := p.newExchange(s)
	x.method, x.held = s.head.method, s.head.size+p.out.Limits.Body
	for len(p.open) > 0 && (len(p.open) >= p.out.Limits.Open || p.held+x.held > maxHeld || !x.take(&p.out, s.head.size)) {
		p.note(s, tooManyOpen)
		p.early++
		p.emitOldest(event.Truncated)
	}
	p.open, p.held = append(p.open, x), p.held+x.held
	return x
}

// take takes memory for the head of a request that has others before it: that of a single one is bounded well enough.
func (x *exchange) take(out *parse.Output, n int) bool {
	if x.taken == 0 && out.Memory.Take(n) {
		x.taken = n
	}
	return x.taken > 0
}

// response returns the transaction that a response belongs to: a new one if its request was not seen.
func (p *parser) response(s *side) *exchange {
	if p.early > 0 {
		p.early--
		return p.unasked(s)
	}
	for len(p.open) > 1 && p.open[0].doubtful && !p.open[len(p.open)-1].doubtful {
		p.emitOldest(event.HasGap) // the client has gone on since the gap, so it had its answer
	}
	if len(p.open) == 0 {
		return p.unasked(s)
	}
	return p.open[0]
}

// unasked opens a transaction whose request was not seen.
func (p *parser) unasked(s *side) *exchange {
	x := p.newExchange(s)
	x.End(flow.ToServer, event.HasGap)
	return x
}

func (p *parser) newExchange(s *side) *exchange {
	x := &exchange{HTTP: content.NewHTTP(&p.out, p.tx, s.head.version, s.began)}
	p.tx++
	return x
}
