package smtp

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/vitrine-ndr/vitrine/flow"
)

// endOfData stands for a message among the commands, for it has a reply like one.
const endOfData = "."

// tlsHandshake is the first byte of a TLS connection, RFC 8446 section 5.1. No command and no reply begins with it.
const tlsHandshake = 0x16

// command reads a command.
func (p *parser) command(s *side, b []byte) (int, bool) {
	if b[0] == tlsHandshake && (p.session.tls || p.doubtful) {
		p.becomeTLS()
		return 0, false
	}
	p.tx.seen()
	line, n := p.nextLine(s, b)
	if line == nil {
		if n > 0 { // the server will refuse what is too long
			p.ask(pending{line: -1})
		}
		return n, n > 0
	}
	if !p.greeted {
		p.early = true
	}
	verb, arg, _ := strings.Cut(string(line), " ")
	p.execute(s, strings.ToUpper(verb), strings.Trim(arg, " \t"))
	return n, true
}

// execute does what a command does to the transaction.
func (p *parser) execute(s *side, verb, arg string) {
	q := pending{verb: verb, line: -1}
	switch verb {
	case "EHLO", "HELO", "LHLO":
		p.endMail()
		p.session.helo, p.session.lmtp, p.session.extensions = arg, verb == "LHLO", nil
	case "RSET", "QUIT":
		p.endMail()
	case "MAIL":
		p.startMail(arg)
	case "RCPT":
		q.rcpt, _ = path(arg, "TO:")
		p.keepRecipient(q.rcpt)
	case "AUTH", "X-EXPS": // the latter is Exchange's
		p.startLogin(s, arg)
		return
	case "DATA", "STARTTLS":
		p.await(s, verb)
	case "X-ANONYMOUSTLS": // the same between Exchange servers
		q.verb = "STARTTLS"
		p.await(s, q.verb)
	case "BDAT":
		p.startChunk(s, arg)
		return
	case "VRFY", "EXPN", "ETRN", "TURN", "ATRN", "XCLIENT", "XFORWARD":
		p.tx.tells = true
	case "BURL": // which has a key in it
		arg = ""
	case "NOOP", "HELP":
	default: // it may be a part of a login that got here by mistake: nothing of it is kept
		if p.doubtful { // more probably it is the end of something else
			return
		}
		p.note(unknownCommand)
		p.tx.tells = true
		q.verb = ""
		p.ask(q)
		return
	}
	q.line = p.keepCommand(strings.TrimRight(verb+" "+arg, " "))
	p.ask(q)
}

// endMail ends a transaction that is open, if one is.
func (p *parser) endMail() {
	if p.tx.mail || p.tx.message != nil {
		p.endOpen()
		p.finish()
	}
}

// startMail begins a transaction. What came before in the session belongs to it.
func (p *parser) startMail(arg string) {
	if p.tx.open {
		p.note(nestedMail)
		return
	}
	p.endMail()
	address, rest := path(arg, "FROM:")
	if address == "" {
		address = "<>"
	}
	t := p.tx
	t.mail = true
	t.decide(0, "") // a login before it does not decide on the mail
	if !t.keep(len(arg)) {
		p.note(tooMuchKept)
		return
	}
	t.event.MailFrom = address
	if list := strings.Fields(rest); len(list) > 0 {
		t.event.Parameters = list
	}
}

// path reads the address behind FROM: or TO:, without a source route, and what follows it (RFC 5321 section 4.1.2).
func path(arg, prefix string) (address, rest string) {
	if len(arg) >= len(prefix) && strings.EqualFold(arg[:len(prefix)], prefix) {
		arg = strings.TrimLeft(arg[len(prefix):], " \t")
	}
	if !strings.HasPrefix(arg, "<") {
		address, rest, _ = strings.Cut(arg, " ")
		return address, rest
	}
	quoted, end := false, len(arg)
	for i := 1; i < len(arg) && end == len(arg); i++ {
		switch c := arg[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			end = i
		}
	}
	address, rest = arg[1:end], arg[min(end+1, len(arg)):]
	if strings.HasPrefix(address, "@") {
		if _, after, ok := strings.Cut(address, ":"); ok {
			address = after
		}
	}
	return address, rest
}

// startChunk begins to take what BDAT announces (RFC 3030).
func (p *parser) startChunk(s *side, arg string) {
	q := pending{verb: "BDAT", line: p.keepCommand("BDAT " + arg)}
	size, last, _ := strings.Cut(arg, " ")
	n, err := strconv.ParseUint(size, 10, 48)
	if err != nil {
		p.note(badChunkSize)
		p.ask(q)
		return
	}
	p.chunk, p.last = int64(n), strings.EqualFold(strings.Trim(last, " \t"), "LAST")
	if p.last {
		q.verb = endOfData
	}
	p.ask(q)
	p.openMessage()
	s.state = (*parser).chunkBytes
	p.passed(s, 0)
}

// secure forgets who logged in before the TLS handshake (RFC 3207 section 4.2).
func (p *parser) secure() {
	p.endMail()
	s := &p.sides[flow.ToServer]
	if len(s.waiting) > 0 && s.waiting[0] != tlsHandshake {
		p.note(injection)
	}
	p.tx.tells = true
	p.session.tls, p.session.mechanism, p.session.user, p.session.login = true, "", "", ""
}

// becomeTLS ends SMTP where its encrypted part begins.
func (p *parser) becomeTLS() {
	p.over = true
	p.out.Become("tls", nil)
}

func isDigits(b []byte) bool {
	return !bytes.ContainsFunc(b, func(c rune) bool { return c < '0' || c > '9' })
}
