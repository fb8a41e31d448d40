package http1

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse/content"
)

const (
	connect   = "CONNECT"
	maxDigits = 15 // of a chunk size: more cannot be counted
)

// frame finds out how long the body behind a head is (RFC 9112 section 6.3).
func (p *parser) frame(s *side) {
	h := s.head
	if s.dir == flow.ToClient && h.status < 200 && h.status != 101 {
		s.reset() // an interim response: the final one is still to come
		return
	}
	lines := p.know(s)
	if s.dir == flow.ToServer {
		p.checkHost(s, lines, h.version)
		if s.x.next = content.List(lines, "upgrade"); h.method == connect {
			s.x.next = connect
		}
	} else if h.status == 101 || s.x.method == connect && h.status/100 == 2 {
		p.become(s, lines)
		return
	} else if s.x.method == "HEAD" || h.status == 204 || h.status == 304 {
		p.end(s, event.Complete)
		return
	}
	length, hasLength := p.length(s, lines)
	coding := content.List(lines, "transfer-encoding")
	switch {
	case coding != "" && p.coding(s, coding, hasLength, h.version):
		s.state = (*parser).chunkSize
	case hasLength && length == 0, !hasLength && coding == "" && s.dir == flow.ToServer:
		p.end(s, event.Complete)
	case hasLength:
		s.state, s.left = (*parser).body, length
	case s.dir == flow.ToClient:
		s.state, s.left = (*parser).body, -1
	default: // a request with a coding that tells no length
		p.lose(s, event.Truncated)
	}
}

func (p *parser) checkHost(s *side, lines []string, version string) {
	hosts := 0
	for _, line := range lines {
		if len(line) >= 5 && strings.EqualFold(line[:5], "host:") {
			hosts++
		}
	}
	switch {
	case hosts > 1:
		p.note(s, duplicateHost)
	case hosts == 0 && version != "HTTP/1.0":
		p.note(s, noHost)
	}
}

// length returns the first length that is a number. More than one is what request smuggling is made of.
func (p *parser) length(s *side, lines []string) (length int64, ok bool) {
	list := content.List(lines, "content-length")
	if list == "" {
		if _, ok := content.Header(lines, "content-length"); ok {
			p.note(s, badLength)
		}
		return 0, false
	}
	for value := range strings.SplitSeq(list, ",") {
		value = strings.Trim(value, " \t")
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err != nil || !isDigit(value[0]):
			p.note(s, badLength)
		case !ok:
			length, ok = n, true
		case n == length:
			p.note(s, duplicateLength)
		default:
			p.note(s, conflictingLength)
		}
	}
	return length, ok
}

// coding reads a Transfer-Encoding list and says whether the body is chunked.
func (p *parser) coding(s *side, list string, hasLength bool, version string) bool {
	if hasLength {
		p.note(s, codingAndLength)
	}
	if version == "HTTP/1.0" {
		p.note(s, codingInHTTP10)
	}
	names := strings.Split(strings.ToLower(list), ",")
	for i := range names {
		names[i] = strings.Trim(names[i], " \t")
	}
	inner, last := names[:len(names)-1], names[len(names)-1]
	if last != "chunked" || slices.Contains(inner, "chunked") {
		p.note(s, badCoding)
	}
	if last != "chunked" {
		return false
	}
	s.x.Coding(s.dir, strings.Join(inner, ", "))
	return true
}

// body takes the bytes of a body or chunk.
func (p *parser) body(s *side, b []byte) (int, bool) {
	if s.left > 0 && int64(len(b)) > s.left {
		b = b[:s.left]
	}
	if s.x != nil {
		s.x.Body(s.dir, b)
	}
	p.passed(s, len(b))
	return len(b), true
}

func (s *side) gap(n int) {
	if s.x != nil {
		s.x.Gap(s.dir, n)
	}
}

// passed counts n bytes of a body or chunk.
func (p *parser) passed(s *side, n int) {
	if s.left < 0 {
		return
	}
	if s.left -= int64(n); s.left > 0 {
		return
	}
	if s.chunked {
		s.state = (*parser).chunkEnd
	} else {
		p.end(s, event.Complete)
	}
}

// chunkSize reads the line before a chunk; its extensions are of no interest.
func (p *parser) chunkSize(s *side, b []byte) (int, bool) {
	line, n := p.line(s, b)
	if p.tooLong(n, b) {
		p.note(s, badChunkSize)
		p.lose(s, event.Truncated)
		s.state, s.scanned = (*parser).lostLine, 0
		return 0, true
	}
	if n == 0 {
		return 0, false
	}
	digits, _, _ := bytes.Cut(p.tidy(s, line), []byte(";"))
	digits = bytes.TrimRight(digits, " \t")
	size, ok := hexadecimal(digits)
	switch {
	case !ok:
		p.note(s, badChunkSize)
		p.lose(s, event.Truncated)
	case size == 0:
		s.head.size = 0
		s.state = (*parser).trailers
	default:
		s.state, s.left, s.chunked = (*parser).body, size, true
	}
	return n, true
}

func hexadecimal(digits []byte) (int64, bool) {
	if len(digits) == 0 || len(digits) > maxDigits {
		return 0, false
	}
	var n int64
	for _, c := range digits {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		n = n<<4 | int64(c)
	}
	return n, true
}

// chunkEnd reads the line end behind a chunk.
func (p *parser) chunkEnd(s *side, b []byte) (int, bool) {
	switch {
	case b[0] == '\n':
		p.note(s, bareLF)
		s.state = (*parser).chunkSize
		return 1, true
	case b[0] == '\r' && len(b) == 1:
		return 0, false
	case b[0] == '\r' && b[1] == '\n':
		s.state = (*parser).chunkSize
		return 2, true
	}
	p.note(s, badChunkEnd)
	p.lose(s, event.Truncated)
	return 0, true
}
