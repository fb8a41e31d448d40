package smtp

import (
	"slices"
	"strconv"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
)

// maxReply is how many bytes of a reply are kept.
const maxReply = 8 << 10

// reply is one that is being read: it may have several lines.
type reply struct {
	code  uint16
	lines []string
	size  int
}

func (r *reply) first() string {
	if len(r.lines) == 0 {
		return ""
	}
	return r.lines[0]
}

// replyLine reads a line of a reply.
func (p *parser) replyLine(s *side, b []byte) (int, bool) {
	if b[0] == tlsHandshake && (p.session.tls || p.doubtful) {
		p.becomeTLS()
		return 0, false
	}
	line, n := p.nextLine(s, b)
	if line == nil {
		return n, n > 0
	}
	if len(line) < 3 || !isDigits(line[:3]) || line[0] < '2' || line[0] > '5' || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		if !p.doubtful {
			p.note(badReply)
		}
		return n, true
	}
	code, _ := strconv.ParseUint(string(line[:3]), 10, 16) // three digits
	r := &p.reply
	if r.code != 0 && r.code != uint16(code) {
		p.note(badReply)
		*r = reply{}
	}
	r.code = uint16(code)
	text := strings.Trim(string(line[min(len(line), 4):]), " \t")
	if r.size += len(text); r.size <= maxReply && len(r.lines) < p.out.Limits.Open {
		r.lines = append(r.lines, text)
	}
	if len(line) <= 3 || line[3] == ' ' {
		whole := *r
		*r = reply{}
		p.answer(&whole)
	}
	return n, true
}

// answer finds what a reply is for.
func (p *parser) answer(r *reply) {
	if !p.greeted {
		p.greeted = true
		if len(p.pending) == 0 || r.code == 220 {
			p.greeting(r)
			return
		}
	}
	if p.skip > 0 {
		p.skip--
		return
	}
	if len(p.pending) == 0 {
		p.unasked(r)
		return
	}
	q := p.pending[0]
	if p.doubtful && !fits(q.verb, r.code) {
		return // what it is for was not seen
	}
	p.pending = p.pending[1:]
	q.tx.waits--
	q.tx.last = p.out.Seen()
	if p.apply(q, r) {
		p.pending = slices.Insert(p.pending, 0, q)
		q.tx.waits++
	}
	p.drain()
}

// fits reports whether a reply can be one to that command.
func fits(verb string, code uint16) bool {
	switch {
	case code >= 400:
		return true
	case verb == "DATA":
		return code == 354
	case verb == "AUTH":
		return code == 334 || code == 235
	case verb == "STARTTLS":
		return code == 220
	case verb == "QUIT":
		return code == 221
	}
	return code/100 == 2 && code != 235 && code != 221 && code != 220
}

func (p *parser) greeting(r *reply) {
	p.session.banner = strings.Join(r.lines, "\n")
	p.tx.last = p.out.Seen()
	if p.early {
		p.note(earlyTalker)
	}
	if r.code >= 400 {
		p.tx.decide(r.code, p.session.banner)
	}
}

// unasked takes a reply to no command.
func (p *parser) unasked(r *reply) {
	t := p.tx
	s := &p.sides[flow.ToServer]
	if s.waitsFor == endOfData {
		if p.endsEarly(s) {
			p.answer(r)
			return
		}
		p.resume(p.goOn())
		if p.tx != t { // this was the end that the server has replied to
			p.answer(r)
			return
		}
	}
	if p.inData && p.holed && r.code != 354 { // where its end was
		p.endMessage(s, event.HasGap)
		p.answer(r)
		return
	}
	if r.code < 400 && !p.doubtful {
		p.note(unexpectedReply)
	}
	if r.code >= 400 || p.inData {
		t.last, t.decided = p.out.Seen(), p.inData
		t.decide(r.code, strings.Join(r.lines, "\n"))
	}
}

// apply does what a reply does to the transaction of its command. It returns true if that has another reply to come.
func (p *parser) apply(q pending, r *reply) (again bool) {
	t, text := q.tx, strings.Join(r.lines, "\n")
	refused := r.code >= 400
	if q.line >= 0 && r.code != 334 {
		if line := " -> " + strings.TrimRight(strconv.Itoa(int(r.code))+" "+r.first(), " "); t.keep(len(line)) {
			t.event.Commands[q.line] += line
		}
	}
	if refused && !t.decided {
		t.decide(r.code, text)
	}
	if s := &p.sides[flow.ToServer]; s.waitsFor == q.verb && q.tx == p.tx {
		p.decideOn(q.verb, r, text)
		return false
	}
	switch q.verb {
	case "EHLO", "LHLO":
		if !refused && len(r.lines) > 1 {
			p.session.extensions = r.lines[1:]
		}
	case "MAIL":
		t.open = t.open || !refused
	case "RCPT":
		p.recipient(t, q.rcpt, r, refused)
	case endOfData:
		return p.delivered(t, r, text)
	case "AUTH": // too late: it is not known what the client meant since
		p.judge(t, r)
	}
	return false
}

// decideOn goes on with what the client has sent behind a command, as its reply demands.
func (p *parser) decideOn(verb string, r *reply, text string) {
	next := (*parser).command
	switch {
	case verb == "DATA" && r.code == 354:
		next = p.beginData()
	case verb == "STARTTLS" && r.code == 220:
		p.secure()
	case verb == "AUTH" && r.code == 334:
		next = (*parser).credentials
	case verb == "AUTH":
		p.loginReply(r, text)
	}
	p.resume(next)
}

// recipient notes what the server said to one.
func (p *parser) recipient(t *transaction, address string, r *reply, refused bool) {
	if !refused {
		if p.session.lmtp && len(t.accepted) < p.out.Limits.Open {
			t.accepted = append(t.accepted, address)
		}
		return
	}
	line := address + " " + strconv.Itoa(int(r.code)) + " " + r.first()
	if len(t.event.Refused) < p.out.Limits.Open && t.keep(len(line)) {
		t.event.Refused = append(t.event.Refused, line)
	}
}

// delivered notes the reply to a message. In LMTP there is one for each recipient that was accepted (RFC 2033 section 4.2).
func (p *parser) delivered(t *transaction, r *reply, text string) (again bool) {
	t.decided = true
	t.decide(r.code, text)
	if !p.session.lmtp || len(t.accepted) == 0 {
		return false
	}
	address := t.accepted[0]
	t.accepted = t.accepted[1:]
	if r.code >= 400 {
		p.recipient(t, address, r, true)
	}
	return len(t.accepted) > 0
}
