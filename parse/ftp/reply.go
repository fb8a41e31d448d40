package ftp

import (
	"path"
	"strconv"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// reply is what the server says at once: one line, or several (RFC 959 section 4.2).
type reply struct {
	code  uint16 // 0 between replies
	lines []string
	size  int
	full  bool // there were too many
}

// replyLine takes a line of the server.
func (p *parser) replyLine(line []byte) {
	code, more, ok := splitReply(line)
	switch {
	case p.reply.code != 0:
		p.keep(line)
		if !ok || code != p.reply.code || more {
			return
		}
	case !ok:
		if !p.sides[flow.ToClient].lost && len(line) > 0 {
			p.out.Anomaly(badReply)
		}
		return
	default:
		p.keep(line)
		p.sides[flow.ToClient].lost = false
		if more {
			p.reply.code = code
			return
		}
	}
	lines := p.reply.lines
	p.reply = reply{}
	p.answer(code, lines)
}

func (p *parser) keep(line []byte) {
	r := &p.reply
	if r.size += len(line); r.size <= maxReply {
		r.lines = append(r.lines, string(line))
	} else if !r.full {
		r.full = true
		p.out.Anomaly(longReply)
	}
}

// splitReply reads the code of a line, and whether more lines follow. Some servers leave out the text, and the space before it.
func splitReply(line []byte) (code uint16, more, ok bool) {
	if len(line) < 3 || line[0] < '1' || line[0] > '6' || line[1]-'0' > 9 || line[2]-'0' > 9 {
		return 0, false, false
	}
	code = uint16(line[0]-'0')*100 + uint16(line[1]-'0')*10 + uint16(line[2]-'0')
	if len(line) == 3 {
		return code, false, true
	}
	return code, line[3] == '-', line[3] == '-' || line[3] == ' '
}

// textOf returns what follows the code.
func textOf(line string) string { return line[min(4, len(line)):] }

// answer ties a reply to the command that it is for.
func (p *parser) answer(code uint16, lines []string) {
	if len(p.open) == 0 || p.untied || !p.greeted && code == 220 {
		if !p.greeted && code == 220 {
			p.ascii = true // until the client sets another type (RFC 959 section 5.1)
		}
		p.greeted = true
		p.out.Emit(&event.FTP{Tx: p.number(), User: p.user, Code: code, Reply: lines})
		return
	}
	p.greeted = true
	c := p.open[0]
	c.add(p, lines)
	c.event.Code = code
	c.event.DurationUS = p.out.Seen().Sub(c.began).Microseconds()
	p.size(c, code, lines)
	if code < 200 {
		return // another reply follows
	}
	p.settle(c, code, lines)
	p.done()
}

// add keeps lines of a reply.
func (c *command) add(p *parser, lines []string) {
	for i, l := range lines {
		if c.size += len(l); c.size > maxReply {
			p.out.Anomaly(longReply)
			lines = lines[:i]
			break
		}
	}
	c.event.Reply = append(c.event.Reply, lines...)
}

// size reads how long the file is: "150 Opening BINARY mode data connection for a.zip (1234 bytes)." is how all servers say it, though
// no document does; the reply to SIZE is in RFC 3659 section 4.2.
func (p *parser) size(c *command, code uint16, lines []string) {
	last := lines[len(lines)-1]
	text := ""
	switch {
	case c.event.Command == "SIZE" && code == 213:
		text = textOf(last)
	case (code == 150 || code == 125) && about[c.event.Command].file:
		head, _, ok := strings.Cut(last[strings.LastIndexByte(last, '(')+1:], " bytes")
		if !ok {
			return
		}
		text = head
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		c.event.Size = n
		c.transfer.expect(n)
	}
}

// settle draws the conclusions of the final reply to a command.
func (p *parser) settle(c *command, code uint16, lines []string) {
	e := &c.event
	good := code < 300
	switch e.Command {
	case "USER", "PASS", "ACCT":
		p.login(e, code)
	case "PWD", "XPWD":
		if dir, ok := quoted(lines[0]); good && ok {
			p.cwd, e.Path = absolute(dir), dir
		}
	case "CWD", "XCWD", "CDUP", "XCUP":
		if good {
			p.cwd = e.Path
		}
	case "MKD", "XMKD":
		if dir, ok := quoted(lines[0]); good && ok && absolute(dir) != "" {
			e.Path = dir
		}
	case "TYPE":
		if good {
			p.ascii = strings.HasPrefix(strings.ToUpper(e.Argument), "A")
		}
	case "MODE":
		if good && len(e.Argument) > 0 {
			p.mode = e.Argument[0] &^ 0x20
		}
	case "REST":
		if code >= 400 {
			p.offset = 0
		}
	case "REIN":
		p.user, p.cwd, p.ascii, p.mode, p.next = "", "", true, 'S', nil
	case "PASV", "EPSV", "PORT", "EPRT":
		p.agree(c, code, lines[len(lines)-1])
	}
	switch {
	case c.transfer != nil && good:
		p.next = nil // it has taken place: the next one is announced anew
	case code >= 400:
		c.transfer.fail()
	}
}

// login tells what became of a login, in the reply that settles it (RFC 959 section 5.4).
func (p *parser) login(e *event.FTP, code uint16) {
	switch {
	case code < 300:
		e.Login = "accepted"
	case code >= 400:
		e.Login = "refused"
	}
}

// quoted returns the path in a reply such as 257 "/a/""b""" is the current directory.
func quoted(line string) (string, bool) {
	_, rest, ok := strings.Cut(line, `"`)
	if !ok {
		return "", false
	}
	var name strings.Builder
	for {
		part, after, ok := strings.Cut(rest, `"`)
		name.WriteString(part)
		if !ok {
			return "", false
		}
		if !strings.HasPrefix(after, `"`) {
			return name.String(), name.Len() <= maxPath
		}
		name.WriteByte('"')
		rest = after[1:]
	}
}

// absolute returns a path that others can be joined to, or nothing.
func absolute(dir string) string {
	if !path.IsAbs(dir) {
		return ""
	}
	return path.Clean(dir)
}

// agree expects the data connection that both sides have agreed on.
func (p *parser) agree(c *command, code uint16, line string) {
	at, ok := c.listener, c.listener.Port != 0
	switch {
	case code >= 300:
		return
	case code == 227:
		at, ok = parsePASV(line)
	case code == 229:
		at, ok = parseEPSV(line)
	case c.event.Mode == active:
	default:
		return // EPSV ALL, whose reply is another one
	}
	if !ok {
		p.out.Anomaly(badAddress)
		return
	}
	e := &c.event
	if e.Mode == "" {
		at.Side, e.Mode, e.Address, e.Port = flow.ToServer, passive, at.Address, at.Port
	}
	p.next = nil
	if p.mode != 'S' && p.mode != 'Z' {
		return // block and compressed mode put marks into the content
	}
	p.next = &transfer{facts: facts{mode: e.Mode, deflate: p.mode == 'Z'}}
	p.out.Expect(at, Data.Name, &parse.Upgrade{Detail: p.next})
}
