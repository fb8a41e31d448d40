package smtp

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"github.com/vitrine-ndr/vitrine/event"
)

// maxUser is how long a user name may be in bytes.
const maxUser = 1 << 10

// login is an AUTH exchange (RFC 4954). Of what the client sends, only who it is stays.
type login struct {
	mechanism string
	user      string
	steps     int  // messages from the client
	line      int  // of the AUTH command
	again     bool // somebody is logged in, or a mail has begun: no server takes it
}

// startLogin reads an AUTH command, with which the first message may come.
func (p *parser) startLogin(s *side, arg string) {
	mechanism, initial, more := strings.Cut(arg, " ")
	mechanism = strings.ToUpper(mechanism)
	p.login = login{mechanism: mechanism, line: p.keepCommand("AUTH " + mechanism)}
	if p.login.again = p.tx.mail || p.session.login == event.LoginAccepted; !p.login.again {
		e := &p.tx.event
		e.Mechanism, e.User, e.Login = mechanism, "", event.LoginUnanswered
		p.tx.tells = true
	}
	if initial = strings.Trim(initial, " \t"); more && initial != "=" {
		p.take(initial)
	}
	p.ask(pending{verb: "AUTH", line: p.login.line})
	p.await(s, "AUTH")
}

// credentials reads what a client answers to a challenge.
func (p *parser) credentials(s *side, b []byte) (int, bool) {
	line, n := p.nextLine(s, b)
	if n == 0 {
		return 0, false
	}
	if p.doubtful && isCommand(b[:n]) {
		s.state = (*parser).command
		return 0, true
	}
	if line != nil && string(line) != "*" {
		p.take(string(line))
	}
	p.ask(pending{verb: "AUTH", line: p.login.line})
	p.await(s, "AUTH")
	if line == nil && b[n-1] != '\n' {
		s.state = skipLine(s.state)
	}
	return n, true
}

// isCommand reports whether what follows a login without an answer is surely no part of it.
func isCommand(b []byte) bool {
	for _, verb := range [...]string{"MAIL FROM", "EHLO ", "HELO ", "AUTH ", "STARTTLS\r", "RSET\r", "QUIT\r", "NOOP\r"} {
		if len(b) > len(verb) && bytes.EqualFold(b[:len(verb)], []byte(verb)) {
			return true
		}
	}
	return false
}

// take looks for the user in a message of the client.
func (p *parser) take(encoded string) {
	l := &p.login
	l.steps++
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		p.note(badLogin)
		return
	}
	if user := l.find(b); !l.again && user != "" && len(user) <= maxUser && p.tx.keep(len(user)) {
		l.user, p.tx.event.User = user, user
	}
}

// find returns the user in a message, or nothing.
func (l *login) find(b []byte) string {
	switch m := l.mechanism; {
	case m == "PLAIN": // RFC 4616
		if parts := bytes.Split(b, []byte{0}); len(parts) == 3 {
			return string(parts[1])
		}
	case m == "LOGIN" && l.steps == 1, m == "EXTERNAL":
		return string(b)
	case m == "CRAM-MD5": // RFC 2195: a digest of 32 digits follows
		if i := bytes.LastIndexByte(b, ' '); i >= 0 {
			return string(b[:i])
		}
	case m == "XOAUTH2":
		return between(string(b), "user=", "\x01")
	case m == "OAUTHBEARER" && l.steps == 1: // RFC 7628
		return between(string(b), "a=", ",")
	case strings.HasPrefix(m, "SCRAM-") && l.steps == 1: // RFC 5802
		user := between(string(b), "n=", ",")
		return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(user)
	case m == "DIGEST-MD5":
		return between(string(b), `username="`, `"`)
	case m == "NTLM":
		return ntlmUser(b)
	}
	return ""
}

// between returns the text between two others.
func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

// ntlmUser returns the user in an AUTHENTICATE message, MS-NLMP section 2.2.1.3.
func ntlmUser(b []byte) string {
	const userField = 36
	if len(b) < userField+8 || string(b[:8]) != "NTLMSSP\x00" || b[8] != 3 {
		return ""
	}
	n, at := int(binary.LittleEndian.Uint16(b[userField:])), int(binary.LittleEndian.Uint32(b[userField+4:]))
	if at > len(b) || n > len(b)-at {
		return ""
	}
	units := make([]uint16, n/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[at+2*i:])
	}
	return string(utf16.Decode(units))
}

// judge notes what came of a login.
func (p *parser) judge(t *transaction, r *reply) {
	switch l := &p.login; {
	case l.again || t.event.Login == "" || r.code < 400 && r.code != 235:
	case r.code == 235:
		t.event.Login = event.LoginAccepted
		p.session.mechanism, p.session.user, p.session.login = l.mechanism, l.user, event.LoginAccepted
	default:
		t.event.Login = event.LoginRefused
	}
}

// loginReply ends an exchange. A refused login is a transaction of its own: whoever counts them must not miss one.
func (p *parser) loginReply(r *reply, text string) {
	t := p.tx
	p.judge(t, r)
	switch {
	case p.login.again:
	case t.event.Login == event.LoginRefused:
		p.finish()
	case t.event.Login == event.LoginAccepted:
		t.decide(r.code, text)
	}
}
