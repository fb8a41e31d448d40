package smtp

import (
	"bytes"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse/mail"
)

// lineEnd is what comes before the next byte of a message.
type lineEnd int

const (
	noEnd   lineEnd = iota // some byte of the line
	afterCR                // a CR, of which it is not known whether an LF follows
	afterLF                // an LF without a CR
	afterCRLF
)

// openMessage begins a message, unless one is open.
func (p *parser) openMessage() {
	if t := p.tx; t.message == nil {
		t.message = mail.New(&p.out, t.keep)
	}
}

// beginData begins to take what follows DATA.
func (p *parser) beginData() func(*parser, *side, []byte) (int, bool) {
	p.openMessage()
	p.inData, p.holed, p.line, p.literal, p.regular = true, p.missed, afterCRLF, false, false
	if p.missed {
		p.missed, p.line = false, noEnd
		p.tx.message.Gap(0)
	}
	return (*parser).data
}

// data takes a line of a message, or what there is of it. A dot at its beginning was added for transfer, and a line of nothing
// else is the end (RFC 5321 section 4.5.2). With other line ends around it, the server's next reply says whether it is.
func (p *parser) data(s *side, b []byte) (int, bool) {
	if b[0] == '.' && p.line >= afterLF {
		switch rest := b[1:]; {
		case len(rest) == 0, len(rest) == 1 && rest[0] == '\r':
			return 0, false
		case bytes.HasPrefix(rest, []byte("\r\n")) && p.line == afterCRLF:
			p.endMessage(s, event.Complete)
			return 3, true
		case !p.literal && (rest[0] == '\n' || bytes.HasPrefix(rest, []byte("\r\n"))):
			p.await(s, endOfData)
			return 0, true
		}
		if p.line == afterCRLF {
			p.line = noEnd
			p.tx.stuffed++
			return 1, true
		}
	}
	n := bytes.IndexByte(b, '\n') + 1
	if n == 0 {
		n = len(b)
	}
	p.checkLine(b[:n])
	p.tx.message.Write(b[:n])
	return n, true
}

// checkLine notes how the piece of a line ends, and what is wrong with it.
func (p *parser) checkLine(b []byte) {
	rest, ended := bytes.CutSuffix(b, []byte("\n"))
	rest, cr := bytes.CutSuffix(rest, []byte("\r"))
	bare, zero := bytes.IndexByte(rest, '\r'), bytes.IndexByte(rest, 0)
	if p.line == afterCR && b[0] != '\n' {
		p.note(bareCR)
	}
	if zero >= 0 && (bare < 0 || zero < bare) { // told in their order, however the line is cut
		p.note(nul)
	}
	if bare >= 0 {
		p.note(bareCR)
	}
	if zero >= 0 {
		p.note(nul)
	}
	switch {
	case ended && (cr || p.line == afterCR && len(b) == 1):
		p.line, p.regular = afterCRLF, true
	case ended:
		p.note(bareLF)
		p.line = afterLF
	case cr:
		p.line = afterCR
	default:
		p.line = noEnd
	}
}

// endMessage ends the message and so the transaction, whose reply is to come.
func (p *parser) endMessage(s *side, state event.State) {
	s.state, p.inData = (*parser).command, false
	p.closeMessage(state)
	if !p.tx.decided {
		p.ask(pending{verb: endOfData, line: -1})
	}
	p.finish()
}

// endsEarly reports whether a lone dot with other line ends than CR LF is the end of the message after all, now that the server has
// replied to something. If the client has sent the regular end too, it is taken for that.
func (p *parser) endsEarly(s *side) bool {
	if bytes.Contains(s.waiting, []byte("\r\n.\r\n")) {
		return false
	}
	n := bytes.IndexByte(s.waiting, '\n') + 1
	if p.regular && n < len(s.waiting) {
		p.note(smuggling)
	}
	s.waiting = s.waiting[n:]
	s.ahead += n
	p.endMessage(s, event.Complete)
	p.resume((*parser).command)
	return true
}

// goOn takes such a dot for a part of the message, and all others that follow.
func (p *parser) goOn() func(*parser, *side, []byte) (int, bool) {
	p.note(smuggling)
	if p.literal = true; p.doubtful { // a reply that said otherwise may be missing
		p.tx.message.Gap(0)
	}
	return (*parser).data
}

// closeMessage takes what is known of the message.
func (p *parser) closeMessage(state event.State) {
	t := p.tx
	t.event.Message, t.files = t.message.End(state)
	t.event.Message.WireSize += t.stuffed
	t.message, t.ended = nil, t.message
}

// endOpen ends a message that is not complete.
func (p *parser) endOpen() {
	if p.tx.message != nil {
		p.closeMessage(event.Truncated)
	}
}

// chunkBytes takes the bytes behind BDAT.
func (p *parser) chunkBytes(s *side, b []byte) (int, bool) {
	b = b[:min(int64(len(b)), p.chunk)]
	if len(b) > 0 {
		p.tx.message.Write(b)
	}
	p.passed(s, len(b))
	return len(b), true
}

// passed counts n bytes of a chunk.
func (p *parser) passed(s *side, n int) {
	if p.chunk -= int64(n); p.chunk > 0 {
		return
	}
	s.state = (*parser).command
	if p.last {
		p.closeMessage(event.Complete)
		p.finish()
	}
}

// gapInMessage tells the message of n missing bytes, if one is being sent. A chunk that they go beyond has ended.
func (p *parser) gapInMessage(n int) {
	s, t := &p.sides[flow.ToServer], p.tx
	switch {
	case p.chunk > 0:
		within := n > 0 && int64(n) <= p.chunk
		t.message.Gap(n)
		if !within {
			n = int(p.chunk)
		}
		p.passed(s, n)
	case p.inData:
		t.message.Gap(n)
		p.line, p.holed = noEnd, true
		s.state, s.waitsFor = (*parser).data, ""
	case s.waitsFor == "DATA":
		p.missed = true
	}
}
