package ftp

import (
	"bytes"
	"path"
	"strconv"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// secret are the commands whose argument is a password or stands for one: RFC 959, RFC 2228.
var secret = map[string]bool{"PASS": true, "ACCT": true, "ADAT": true}

// about says what kind of thing a command names, and whether a connection of its own carries it.
var about = map[string]struct{ path, transfers, file bool }{
	"RETR": {true, true, true}, "STOR": {true, true, true}, "APPE": {true, true, true}, "STOU": {true, true, true},
	"LIST": {true, true, false}, "NLST": {true, true, false}, "MLSD": {true, true, false},
	"CWD": {path: true}, "XCWD": {path: true}, "CDUP": {path: true}, "XCUP": {path: true}, "MKD": {path: true}, "XMKD": {path: true},
	"RMD": {path: true}, "XRMD": {path: true}, "DELE": {path: true}, "RNFR": {path: true}, "RNTO": {path: true},
	"SIZE": {path: true}, "MDTM": {path: true}, "MLST": {path: true}, "SMNT": {path: true}, "STAT": {path: true},
}

// commandLine takes a line of the client.
func (p *parser) commandLine(line []byte) {
	line = withoutTelnet(line)
	verb, argument, ok := splitCommand(line)
	if !ok {
		if len(line) > 0 {
			p.out.Anomaly(badCommand)
		}
		return
	}
	c := &command{began: p.out.Seen(), event: event.FTP{Tx: p.number(), Command: verb, Argument: argument}}
	if secret[verb] || verb == "SITE" && isPassword(argument) {
		c.event.Argument = ""
	}
	switch verb {
	case "AUTH":
		p.auth = true
	case "PORT":
		at, ok := parsePort(argument)
		p.announce(c, at, ok)
	case "EPRT":
		at, ok := parseEPRT(argument)
		p.announce(c, at, ok)
	}
	p.push(c)
}

// isPassword reports whether a SITE command changes passwords, as several servers allow.
func isPassword(argument string) bool {
	word, _, _ := strings.Cut(strings.ToUpper(argument), " ")
	return word == "PSWD" || word == "CPWD" || word == "PASSWD" || word == "CHPASS"
}

// maxVerb is longer than any command that is known.
const maxVerb = 16

// splitCommand returns the command in upper case and what follows it.
func splitCommand(line []byte) (verb, argument string, ok bool) {
	first, rest, _ := bytes.Cut(line, []byte(" "))
	if len(first) == 0 || len(first) > maxVerb {
		return "", "", false
	}
	for _, c := range first {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return "", "", false
		}
	}
	return strings.ToUpper(string(first)), string(rest), true
}

// withoutTelnet removes what RFC 959 section 4.1.3 has of Telnet: a client interrupts a transfer by IAC IP, IAC DM before ABOR. An IAC
// that begins nothing known is a letter of a name in Latin-1.
func withoutTelnet(line []byte) []byte {
	const (
		iac                   = 0xff
		eof, will, dont, data = 0xec, 0xfb, 0xfe, iac
	)
	if bytes.IndexByte(line, iac) < 0 {
		return line
	}
	out := make([]byte, 0, len(line))
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] != iac || i+1 == len(line) || line[i+1] < eof:
			out = append(out, line[i])
		case line[i+1] == data:
			out = append(out, iac)
			i++
		case line[i+1] >= will && line[i+1] <= dont:
			i += 2
		default:
			i++
		}
	}
	return out
}

// announce keeps where the client will listen, until the server agrees.
func (p *parser) announce(c *command, at parse.Listener, ok bool) {
	if !ok {
		p.out.Anomaly(badAddress)
		return
	}
	at.Side = flow.ToClient
	c.listener = at
	c.event.Mode, c.event.Address, c.event.Port = active, at.Address, at.Port
}

// begin is called when a command is the next to be answered: what was sent before it has taken effect by then, and not what was sent
// after it.
func (p *parser) begin(c *command) {
	e := &c.event
	switch e.Command {
	case "USER":
		p.user = e.Argument[:min(len(e.Argument), maxUser)]
	case "REST":
		p.offset = 0
		if n, err := strconv.ParseInt(e.Argument, 10, 64); err == nil && n > 0 {
			p.offset = n
		}
	}
	e.User = p.user
	what := about[e.Command]
	if what.path {
		e.Path = p.path(e.Command, e.Argument)
	}
	if what.transfers {
		c.transfer = p.next
		c.transfer.set(p, c)
		p.offset = 0
	}
}

// path returns the full path that a command means, or nothing if the working directory is not known. STOU has the server choose a name.
func (p *parser) path(verb, name string) string {
	switch verb {
	case "CDUP", "XCUP":
		name = ".."
	case "STOU":
		return ""
	case "LIST", "NLST", "STAT":
		for strings.HasPrefix(name, "-") { // options, as servers that call ls have them
			_, name, _ = strings.Cut(name, " ")
		}
		if name == "" && verb == "STAT" {
			return "" // of the session
		}
	}
	full := ""
	switch {
	case strings.HasPrefix(name, "/"):
		full = path.Clean(name)
	case p.cwd != "":
		full = path.Join(p.cwd, name)
	}
	if len(full) > maxPath {
		return ""
	}
	return full
}
