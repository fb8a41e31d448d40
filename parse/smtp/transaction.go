package smtp

import (
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/mail"
)

// session is what lasts longer than a transaction.
type session struct {
	banner     string
	helo       string
	lmtp       bool // every recipient has a reply of its own to the message
	extensions []string
	tls        bool
	mechanism  string
	user       string
	login      event.SMTPLogin
}

// transaction is a mail, and what led to it.
type transaction struct {
	out        *parse.Output
	event      event.SMTP
	message    *mail.Message // nil before and after it
	ended      *mail.Message // whose memory is to be released
	files      []event.File
	began      time.Time // zero before anything was seen
	last       time.Time // when the latest reply was
	held       int       // bytes of text
	stuffed    int64     // dots that were added for transfer
	waits      int       // replies that are to come
	unanswered bool      // some never came
	gap        bool
	mail       bool     // there was a MAIL command
	open       bool     // which the server took
	decided    bool     // the reply to the message is known
	tells      bool     // there is more to it than the usual
	accepted   []string // recipients
}

func (p *parser) begin() *transaction {
	p.noted = p.noted[:0]
	return &transaction{out: &p.out}
}

func (t *transaction) seen() {
	if t.began.IsZero() {
		t.began = t.out.Seen()
	}
}

// keep asks for room for n bytes of text.
func (t *transaction) keep(n int) bool {
	if t.held+n > t.out.Limits.Header || !t.out.Memory.Take(n) {
		return false
	}
	t.held += n
	return true
}

// keepCommand keeps a command and returns its number.
func (p *parser) keepCommand(text string) int {
	t := p.tx
	if len(t.event.Commands) >= p.out.Limits.Open || !t.keep(len(text)) {
		p.note(tooMuchKept)
		return -1
	}
	t.event.Commands = append(t.event.Commands, text)
	return len(t.event.Commands) - 1
}

// keepRecipient keeps a recipient.
func (p *parser) keepRecipient(address string) {
	t := p.tx
	if len(t.event.RcptTo) >= p.out.Limits.Open || !t.keep(len(address)) {
		p.note(tooManyRecipients)
		return
	}
	t.event.RcptTo = append(t.event.RcptTo, address)
}

// decide notes the reply that a transaction ends with, as far as that is known now.
func (t *transaction) decide(code uint16, text string) {
	t.held -= len(t.event.Reply)
	t.out.Memory.Give(len(t.event.Reply))
	if t.event.Code, t.event.Reply = code, ""; t.keep(len(text)) {
		t.event.Reply = text
	}
}

// finish ends the transaction that the client is at. It is emitted when the replies to it have come.
func (p *parser) finish() {
	t := p.tx
	e, s := &t.event, &p.session
	e.Banner, e.Helo, e.Extensions, e.StartTLS = s.banner, s.helo, s.extensions, s.tls
	if e.Login == "" {
		e.Mechanism, e.User, e.Login = s.mechanism, s.user, s.login
	}
	p.open = append(p.open, t)
	p.tx = p.begin()
	p.drain()
}

// drain emits the oldest transactions that wait for nothing any more.
func (p *parser) drain() {
	for len(p.open) > 0 && p.open[0].waits == 0 {
		t := p.open[0]
		p.open[0], p.open = nil, p.open[1:]
		p.emit(t)
	}
}

// emit hands over a transaction and its files. What is left of a session behind its last mail seldom is worth telling.
func (p *parser) emit(t *transaction) {
	if t.mail || t.tells || t.event.Message != nil || p.count == 0 && !t.began.IsZero() {
		e := &t.event
		e.Tx = p.count
		p.count++
		if !t.last.IsZero() {
			e.DurationUS = max(0, t.last.Sub(t.began).Microseconds())
		}
		e.State = t.state()
		p.out.Emit(e)
		for i := range t.files {
			f := &t.files[i]
			f.Tx, f.Direction = e.Tx, flow.ToServer.String()
			p.out.Emit(f)
		}
	}
	if t.ended != nil {
		t.ended.Release()
	}
	p.out.Memory.Give(t.held)
}

func (t *transaction) state() event.State {
	switch m := t.event.Message; {
	case t.gap || m != nil && m.State == event.HasGap:
		return event.HasGap
	case t.unanswered || m != nil && m.State == event.Truncated:
		return event.Truncated
	}
	return event.Complete
}
