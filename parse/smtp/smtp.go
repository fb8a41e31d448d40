// Package smtp follows SMTP and LMTP (RFC 5321, RFC 2033) with pipelining, chunking, logins and STARTTLS. Ordered bytes and gaps of
// both directions go in; mail transactions and the files attached to their messages come out, refused logins and sessions
// without a mail too, and anomalies where client and server may disagree on what was said. Messages pass through. Passwords
// are forgotten as soon as they are read.
package smtp

import (
	"bytes"
	"slices"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// Protocol is SMTP.
var Protocol = parse.Protocol{Name: "smtp", Proto: flow.TCP, Probe: probe, New: newParser}

// Anomaly codes.
const (
	lineTooLong       = "smtp_line_too_long"
	bareLF            = "smtp_bare_lf" // a line that does not end in CR LF
	bareCR            = "smtp_bare_cr" // a CR inside of a line: some take it for a line end
	nul               = "smtp_nul"
	smuggling         = "smtp_smuggling" // a lone dot between line ends that not everybody takes for the end of the message (CVE-2023-51764)
	badReply          = "smtp_bad_reply"
	unexpectedReply   = "smtp_unexpected_reply" // to no command, or in the middle of a message
	unknownCommand    = "smtp_unknown_command"
	earlyTalker       = "smtp_early_talker"        // the client did not wait for the greeting
	injection         = "smtp_starttls_injection"  // commands in the clear behind STARTTLS (CVE-2011-0411)
	nestedMail        = "smtp_nested_mail"         // MAIL inside of a transaction
	badChunkSize      = "smtp_bad_chunk_size"      // of BDAT
	badLogin          = "smtp_bad_login"           // what was sent is not what the mechanism wants
	tooManyRecipients = "smtp_too_many_recipients" // than are kept
	tooMuchKept       = "smtp_too_much_text"       // commands, recipients and header fields: some are not kept
	tooManyOpen       = "smtp_too_many_pipelined"
)

// maxLine is how many bytes a command or a reply may be. RFC 4954 section 4 allows 12,288 in logins, more than RFC 5321 elsewhere.
const maxLine = 16 << 10

// maxWait is how many bytes are left until it is known what they are.
const maxWait = 64 << 10

// probe recognises a client by its EHLO and a server by a greeting that speaks of SMTP. Other servers greet alike: what they are
// shows when the client speaks.
func probe(dir flow.Direction, b []byte) parse.Match {
	if dir == flow.ToClient {
		return probeGreeting(b)
	}
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		verb, _, ended := bytes.Cut(bytes.TrimSuffix(line, []byte("\r")), []byte(" "))
		verb = bytes.ToUpper(verb[:min(len(verb), 5)])
		switch first, others := []string{"EHLO", "HELO", "LHLO"}, []string{"MAIL", "NOOP", "RSET", "QUIT", "HELP"}; {
		case !whole && !ended && startsAny(verb, append(first, others...)...):
			return parse.Maybe
		case slices.Contains(first, string(verb)):
			return parse.Yes
		case string(verb) == "MAIL" && ended:
			return probeMail(line[len("MAIL "):], whole)
		case !slices.Contains(others[1:], string(verb)): // those that other protocols have too
			return parse.No
		}
		b = rest
	}
	return parse.Maybe
}

// probeMail wants a sender.
func probeMail(arg []byte, whole bool) parse.Match {
	const from = "FROM:"
	arg = bytes.ToUpper(arg[:min(len(arg), len(from))])
	switch {
	case string(arg) == from:
		return parse.Yes
	case whole || !startsAny(arg, from):
		return parse.No
	}
	return parse.Maybe
}

// probeGreeting wants a reply that servers begin with.
func probeGreeting(b []byte) parse.Match {
	line, _, whole := bytes.Cut(b, []byte("\n"))
	code := line[:min(len(line), 3)]
	if !startsAny(code, "220", "421", "554") || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return parse.No
	}
	line = bytes.TrimSuffix(line, []byte("\r"))
	if bytes.ContainsFunc(line, func(c rune) bool { return c < ' ' && c != '\t' }) {
		return parse.No
	}
	line = bytes.ToUpper(line)
	if whole && !bytes.Contains(line, []byte("FTP")) && (bytes.Contains(line, []byte("SMTP")) || bytes.Contains(line, []byte("LMTP"))) {
		return parse.Yes
	}
	return parse.Maybe
}

// startsAny reports whether b is the beginning of one of the texts.
func startsAny(b []byte, texts ...string) bool {
	for _, t := range texts {
		if bytes.HasPrefix([]byte(t), b) {
			return true
		}
	}
	return false
}
