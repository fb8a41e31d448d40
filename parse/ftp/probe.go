package ftp

import (
	"bytes"
	"slices"
	"strings"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// verbs are the commands that a session may begin with, as it does or as it does behind TLS. Those that other protocols have too
// tell nothing: POP3 has USER and LIST, SMTP has QUIT, IRC has MODE.
var verbs = map[string]parse.Match{
	"USER": parse.Maybe, "PASS": parse.Maybe, "LIST": parse.Maybe, "RETR": parse.Maybe, "DELE": parse.Maybe, "STAT": parse.Maybe, "MODE": parse.Maybe,
	"QUIT": parse.Maybe, "NOOP": parse.Maybe, "HELP": parse.Maybe, "HOST": parse.Maybe, "AUTH": parse.Maybe,

	"ACCT": parse.Yes, "CWD": parse.Yes, "XCWD": parse.Yes, "CDUP": parse.Yes, "XCUP": parse.Yes, "SMNT": parse.Yes, "REIN": parse.Yes,
	"PORT": parse.Yes, "EPRT": parse.Yes, "PASV": parse.Yes, "EPSV": parse.Yes, "TYPE": parse.Yes, "STRU": parse.Yes, "STOR": parse.Yes,
	"STOU": parse.Yes, "APPE": parse.Yes, "ALLO": parse.Yes, "REST": parse.Yes, "RNFR": parse.Yes, "RNTO": parse.Yes, "ABOR": parse.Yes,
	"RMD": parse.Yes, "XRMD": parse.Yes, "MKD": parse.Yes, "XMKD": parse.Yes, "PWD": parse.Yes, "XPWD": parse.Yes, "NLST": parse.Yes,
	"SITE": parse.Yes, "SYST": parse.Yes, "FEAT": parse.Yes, "OPTS": parse.Yes, "LANG": parse.Yes, "CLNT": parse.Yes, "ADAT": parse.Yes,
	"PROT": parse.Yes, "PBSZ": parse.Yes, "CCC": parse.Yes, "SIZE": parse.Yes, "MDTM": parse.Yes, "MLSD": parse.Yes, "MLST": parse.Yes,
}

// mechanisms of AUTH that SMTP doesn't have (RFC 2228, RFC 4217).
var mechanisms = []string{"TLS", "TLS-C", "TLS-P", "SSL", "KERBEROS_V4"}

// own are the codes of replies that SMTP, POP3 and NNTP do not have behind a greeting.
var own = []uint16{120, 125, 150, 202, 212, 213, 225, 226, 227, 228, 229, 230, 231, 232, 234, 257, 331, 332, 350, 425, 426, 532}

// probe looks at the lines of a direction. SMTP greets as FTP does, so a greeting tells nothing until the client speaks, or the
// server again.
func probe(dir flow.Direction, b []byte) parse.Match {
	decide := fromClient
	if dir == flow.ToClient {
		decide = new(greeting).line
	}
	for {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if m := decide(bytes.TrimSuffix(line, []byte("\r")), whole); m != parse.Maybe || !whole {
			return m
		}
		b = rest
	}
}

// fromClient decides by a line of the client, or by its beginning.
func fromClient(line []byte, whole bool) parse.Match {
	first, argument, ended := bytes.Cut(line, []byte(" "))
	if len(first) > maxVerb {
		return parse.No
	}
	verb := strings.ToUpper(string(first))
	if !whole && !ended {
		for v := range verbs {
			if strings.HasPrefix(v, verb) {
				return parse.Maybe
			}
		}
		return parse.No
	}
	m, ok := verbs[verb]
	switch {
	case !ok:
		return parse.No
	case verb != "AUTH":
		return m
	case !whole:
		return parse.Maybe
	case slices.Contains(mechanisms, strings.ToUpper(string(argument))):
		return parse.Yes
	}
	return parse.No
}

// greeting follows what the server says first.
type greeting struct {
	code    uint16 // of a reply of several lines that has begun; 0 between replies
	replies int    // so far
	ftp     bool   // the first one says that it is FTP
}

// line decides by the next line.
func (g *greeting) line(line []byte, whole bool) parse.Match {
	if g.code == 0 && !likeReply(line) {
		return parse.No
	}
	if !whole {
		return parse.Maybe
	}
	if g.replies == 0 {
		text := bytes.ToUpper(line)
		g.ftp = g.ftp || bytes.Contains(text, []byte("FTP")) && !bytes.Contains(text, []byte("SMTP"))
	}
	code, more, ok := splitReply(line)
	switch {
	case g.code == 0 && !ok:
		return parse.No
	case g.code == 0 && (slices.Contains(own, code) || g.replies > 0 && g.ftp):
		return parse.Yes
	case g.code == 0 && more:
		g.code = code
	case g.code == 0 || ok && code == g.code && !more:
		g.code = 0
		g.replies++
	}
	return parse.Maybe
}

// likeReply reports whether a line may begin a reply.
func likeReply(line []byte) bool {
	for i, c := range line[:min(len(line), 4)] {
		switch {
		case i == 0 && (c < '1' || c > '6'), i < 3 && (c < '0' || c > '9'), i == 3 && c != ' ' && c != '-':
			return false
		}
	}
	return true
}
