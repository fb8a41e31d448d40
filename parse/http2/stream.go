package http2

import (
	"container/list"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/content"
)

const version = "HTTP/2"

// heldHeaders is how many times Limits.Header the header fields of all open streams may take. It is more than any peer's
// streams need, and keeps short references to long fields from taking the memory of a long connection.
const heldHeaders = 16

// stream is one transaction.
type stream struct {
	id    uint32
	http  *content.HTTP
	side  [2]side
	size  int       // of its header fields
	taken int       // of Output.Memory, for those
	reset time.Time // when one side gave it up, zero if none has
	place *list.Element
}

// side is what a stream has got in one direction.
type side struct {
	headers bool  // those of the message, not only of interim responses
	owed    int64 // bytes that the body still has, by its content-length; -1 if it says none
	ended   bool
	lost    bool
}

// lose notes that bytes of a direction that is open may be missing.
func (s *stream) lose(dir flow.Direction) {
	d := &s.side[dir]
	if d.ended || d.lost {
		return
	}
	d.owed = -1
	if d.lost = true; d.headers {
		s.http.Gap(dir, 0)
	}
}

// open begins a transaction. The oldest is given up if there are too many.
func (p *parser) open(id uint32) *stream {
	if p.order.Len() >= max(p.out.Limits.Open, 1) {
		p.giveUp(p.order.Front().Value.(*stream))
	}
	s := &stream{id: id, side: [2]side{{owed: -1}, {owed: -1}}, http: content.NewHTTP(p.out, p.tx, version, p.out.Seen())}
	s.http.Stream(id)
	p.tx++
	s.place = p.order.PushBack(s)
	p.streams[id] = s
	return s
}

// giveUp ends a transaction before its time. Nobody can judge what its client still says.
func (p *parser) giveUp(s *stream) {
	p.out.Anomaly(tooManyStreams)
	if !s.side[flow.ToServer].ended {
		s.http.Doubt(tooManyStreams)
	}
	p.finish(s)
}

// upgraded opens stream 1, whose request was in HTTP/1.1 and is over.
func (p *parser) upgraded(up *parse.Upgrade) {
	s := p.open(1)
	p.last[flow.ToServer] = 1
	s.http.Request("", up.URL, up.Host, nil)
	s.side[flow.ToServer].headers = true
	p.endSide(s, flow.ToServer, event.Complete)
}

// find returns the open stream that a frame belongs to, or opens one for a frame that may begin it or whose beginning was lost.
// It is nil for a stream that was closed: what is still on its way then means nothing.
func (p *parser) find(dir flow.Direction, id uint32, headers bool) *stream {
	if s := p.streams[id]; s != nil {
		return s
	}
	opener := flow.ToClient // who opens streams of this number
	if id%2 == 1 {
		opener = flow.ToServer
	}
	gapped := p.half[0].gapped || p.half[1].gapped
	idle := id > p.last[opener]
	switch {
	case !idle && !gapped, gapped && slices.Contains(p.closed[:], id):
		return nil
	case idle && !gapped && (!headers || dir != opener || opener == flow.ToClient):
		p.out.Anomaly(badStream)
	}
	if headers && dir == opener {
		p.last[opener] = max(p.last[opener], id)
	}
	return p.open(id)
}

// openData makes sure that the stream of a DATA frame is there, or was closed.
func (p *parser) openData(dir flow.Direction, id uint32) {
	if s := p.find(dir, id, false); s != nil && s.side[dir].ended {
		p.out.Anomaly(afterEnd)
	}
}

func (p *parser) body(dir flow.Direction, id uint32, b []byte) {
	if s := p.streams[id]; s != nil && !s.side[dir].ended {
		s.http.Body(dir, b)
		p.pay(s, dir, int64(len(b)))
	}
}

// pay counts bytes of a body. Whoever passes a request on in HTTP/1.1 takes its content-length for its end.
func (p *parser) pay(s *stream, dir flow.Direction, n int64) {
	d := &s.side[dir]
	if d.owed < 0 {
		return
	}
	if d.owed -= n; d.owed < 0 && dir == flow.ToServer {
		p.mismatch(s)
	}
}

// mismatch tells of a request whose content-length lies.
func (p *parser) mismatch(s *stream) {
	p.out.Anomaly(lengthMismatch)
	s.http.Doubt(lengthMismatch)
}

// contentLength returns how long a body will be, -1 if the header fields do not say. It reports false for what is no number.
func contentLength(lines []string) (int64, bool) {
	if _, ok := content.Header(lines, "content-length"); !ok {
		return -1, true
	}
	n, err := strconv.ParseUint(content.List(lines, "content-length"), 10, 63)
	if err != nil {
		return -1, false
	}
	return int64(n), true
}

// doubts are anomalies of a request that make something else of it where it is passed on in HTTP/1.1.
var doubts = []string{badHeader, connectionHeader, badPseudoHeader, missingPseudo, lengthMismatch}

// doubt tells of those in a header block of a request.
func (s *stream) doubt(m *fields) {
	for _, code := range m.odd {
		if slices.Contains(doubts, code) {
			s.http.Doubt(code)
		}
	}
}

func (p *parser) bodyGap(dir flow.Direction, id uint32, n int) {
	if s := p.streams[id]; s != nil && !s.side[dir].ended {
		s.side[dir].lost, s.side[dir].owed = true, -1
		s.http.Gap(dir, n)
	}
}

// message takes the header block of a HEADERS frame: headers, an interim response, or trailers.
func (p *parser) message(dir flow.Direction, f frame, m *fields) {
	s := p.find(dir, f.stream, true)
	if s == nil {
		return
	}
	p.hold(s, m)
	d := &s.side[dir]
	if m.lost {
		s.http.Lost()
	}
	switch {
	case d.ended:
		p.out.Anomaly(afterEnd)
		return
	case d.headers || d.lost && !m.any():
		p.trailers(s, dir, f, m)
	case dir == flow.ToServer:
		p.request(s, m)
	default:
		p.response(s, f, m)
	}
	if f.has(flagEndStream) {
		p.endSide(s, dir, event.Complete)
	}
}

// hold counts header fields that a stream keeps. The oldest other streams are given up if there are too many, or no memory: that of a
// single one is bounded well enough.
func (p *parser) hold(s *stream, m *fields) {
	size := p.out.Limits.Header - max(m.room, 0)
	s.size += size
	p.held += size
	for taken := false; p.order.Len() > 1; {
		if !taken && p.out.Memory.Take(size) {
			taken = true
			s.taken += size
		}
		if taken && p.held <= heldHeaders*p.out.Limits.Header {
			return
		}
		oldest := p.order.Front()
		if oldest == s.place {
			oldest = oldest.Next()
		}
		p.giveUp(oldest.Value.(*stream))
	}
}

func (p *parser) trailers(s *stream, dir flow.Direction, f frame, m *fields) {
	if m.any() {
		p.out.Anomaly(badPseudoHeader)
	}
	if !f.has(flagEndStream) {
		p.out.Anomaly(badFrame)
	}
	s.http.Trailers(dir, m.lines)
	if dir == flow.ToServer {
		s.doubt(m)
	}
}

func (p *parser) request(s *stream, m *fields) {
	method, authority, path := m.pseudo[pseudoMethod], m.pseudo[pseudoAuthority], m.pseudo[pseudoPath]
	connect := method == "CONNECT" && !m.has[pseudoProtocol]
	missing := !connect && (method == "" || path == "" || !m.has[pseudoScheme]) || connect && authority == ""
	if missing && !m.lost {
		p.out.Anomaly(missingPseudo)
		m.note(missingPseudo)
	}
	if m.has[pseudoStatus] || connect && (path != "" || m.has[pseudoScheme]) {
		p.out.Anomaly(badPseudoHeader)
	}
	if host, ok := content.Header(m.lines, "host"); ok {
		if authority != "" && !strings.EqualFold(host, authority) {
			p.out.Anomaly(authorityMismatch)
		} else {
			authority = host
		}
	}
	target := path
	if connect {
		target = authority
	}
	lines := m.lines
	if m.has[pseudoProtocol] { // what the tunnel carries is worth a line; it has no field of its own
		lines = append([]string{":protocol: " + m.pseudo[pseudoProtocol]}, lines...)
	}
	s.http.Request(method, target, authority, lines)
	s.doubt(m)
	n, ok := contentLength(m.lines)
	if !ok {
		p.mismatch(s)
	}
	s.side[flow.ToServer].headers, s.side[flow.ToServer].owed = true, n
}

func (p *parser) response(s *stream, f frame, m *fields) {
	status, err := strconv.ParseUint(m.pseudo[pseudoStatus], 10, 16)
	switch {
	case !m.has[pseudoStatus] && !m.lost:
		p.out.Anomaly(missingPseudo)
	case m.has[pseudoStatus] && (err != nil || status < 100 || status > 999), m.any() && !m.has[pseudoStatus]:
		p.out.Anomaly(badPseudoHeader)
		status = 0
	case 100 <= status && status < 200 && !f.has(flagEndStream):
		return // interim: the response is still to come
	}
	s.http.Response(uint16(status), "", m.lines)
	n, _ := contentLength(m.lines)
	s.side[flow.ToClient].headers, s.side[flow.ToClient].owed = true, n
}

// promise takes a server's request to itself, which it will answer on the promised stream.
func (p *parser) promise(dir flow.Direction, k *block, m *fields) {
	id := k.promised
	if dir != flow.ToClient || id == 0 || id%2 == 1 || id <= p.last[flow.ToClient] {
		p.out.Anomaly(badStream)
		return
	}
	p.last[flow.ToClient] = id
	s := p.open(id)
	p.hold(s, m)
	if m.lost {
		s.http.Lost()
	}
	p.request(s, m)
	p.endSide(s, flow.ToServer, event.Complete)
}

// endSide ends one direction of a stream, and the stream with the second. A request that was lost is not waited for.
func (p *parser) endSide(s *stream, dir flow.Direction, state event.State) {
	d := &s.side[dir]
	if d.ended {
		return
	}
	if state == event.Complete && dir == flow.ToServer && d.owed > 0 {
		if s.cutOff() {
			state = event.Truncated
		} else {
			p.mismatch(s)
		}
	}
	d.ended = true
	if s.http.End(dir, s.state(dir, state)); s.side[dir.Reverse()].ended ||
		dir == flow.ToClient && !s.side[flow.ToServer].headers && p.half[flow.ToServer].gapped {
		p.finish(s)
	}
}

// cutOff tells whether a client knows that its request was dropped: whoever is told so may send no more of a body, whatever its length was to be.
func (s *stream) cutOff() bool { return s.side[flow.ToClient].ended && s.http.Dropped() }

// state returns HasGap if something is not known of a direction, else what it would be. A response is complete with the last byte of its
// content-length: many clients close the connection then, and do not wait for the empty frame that ends the stream.
func (s *stream) state(dir flow.Direction, otherwise event.State) event.State {
	switch d := &s.side[dir]; {
	case d.lost:
		return event.HasGap
	case dir == flow.ToClient && d.owed == 0:
		return event.Complete
	}
	return otherwise
}

// finish emits a stream and forgets it.
func (p *parser) finish(s *stream) {
	for dir := range s.side {
		s.http.End(flow.Direction(dir), s.state(flow.Direction(dir), event.Truncated))
	}
	p.held -= s.size
	p.out.Memory.Give(s.taken)
	p.order.Remove(s.place)
	delete(p.streams, s.id)
	p.closed[p.closing%len(p.closed)] = s.id
	p.closing++
	s.http.Emit()
}
