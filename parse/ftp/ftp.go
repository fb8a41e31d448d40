// Package ftp follows FTP (RFC 959, with the extensions of RFC 2228, 2389, 2428, 3659 and 4217). Of a control connection one
// event a command comes out, with the replies to it; the connections that it announces for transfers are expected, and come out as
// events of their own, with the command that they are of. Passwords are never kept. The package knows nothing of how a
// connection is found that was announced.
package ftp

import (
	"bytes"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// Protocol is the control connection.
var Protocol = parse.Protocol{Name: "ftp", Proto: flow.TCP, Probe: probe, New: newParser}

// Data is the connection of one transfer. It is never recognised by its bytes: a control connection announces it.
var Data = parse.Protocol{
	Name: "ftp_data", Proto: flow.TCP,
	Probe: func(flow.Direction, []byte) parse.Match { return parse.No },
	New:   newData,
}

// Anomaly codes.
const (
	longLine    = "ftp_long_line"         // what is beyond maxLine is skipped
	longReply   = "ftp_long_reply"        // what is beyond maxReply is skipped
	badCommand  = "ftp_bad_command"       // a line that begins with no command: it is skipped
	badReply    = "ftp_bad_reply"         // a line that begins with no code: it is skipped
	badAddress  = "ftp_bad_address"       // of a data connection
	tooManyOpen = "ftp_too_many_open"     // commands without a reply
	bothWays    = "ftp_data_in_both_ways" // a data connection carries one file, one way: the other is only counted
	untied      = "ftp_replies_untied"    // commands sent ahead and a loss: replies are no longer matched with them
)

const (
	maxLine  = 4 << 10  // of a command or reply. RFC 959 has no limit; paths are the longest that is in one
	maxReply = 16 << 10 // of the replies to one command
	maxOpen  = 64       // commands that wait for their reply
	maxPath  = 1 << 10  // short commands must not give long events
	maxUser  = 128
)

// parser follows one control connection.
type parser struct {
	out   parse.Output
	tx    uint64 // number of the next transaction
	sides [2]side
	open  []*command // that wait for their reply, in the order in which they were sent
	reply reply      // that is being read

	greeted bool   // the server has spoken
	ahead   bool   // the client has sent a command before the reply to the one before
	untied  bool   // so replies can't be matched with commands behind a loss
	auth    bool   // TLS was asked for: it may begin
	user    string // name of the latest USER
	cwd     string // working directory, empty where it is not known
	ascii   bool   // type of transfers
	mode    byte   // of transmission: S, or B or C, which are not followed, or Z for deflate
	offset  int64  // at which the next transfer begins
	next    *transfer
}

// side is one direction.
type side struct {
	scanned int  // bytes on offer in which there is no line end
	skip    bool // the rest of a line is not wanted
	lost    bool // bytes were missing: until a reply shows that it is whole, lines are no anomaly
}

func newParser(out parse.Output) parse.Parser { return &parser{out: out, mode: 'S'} }

// Parse takes the lines of a direction.
func (p *parser) Parse(dir flow.Direction, b []byte) (int, error) {
	s := &p.sides[dir]
	n := 0
	for n < len(b) {
		if p.auth && s.scanned == 0 && b[n] == tlsHandshake {
			p.out.Become("tls", nil)
			return n, nil
		}
		line, k, long := s.line(b[n:])
		if k == 0 {
			break
		}
		n += k
		if line == nil {
			continue
		}
		if long {
			p.out.Anomaly(longLine)
		}
		if dir == flow.ToServer {
			p.commandLine(line)
		} else {
			p.replyLine(line)
		}
	}
	return n, nil
}

// tlsHandshake begins the first record of TLS (RFC 8446 section 5.1), and no command or reply.
const tlsHandshake = 0x16

// line returns the first line of b without its end, or nil if that is skipped, and how many bytes it took: 0 if the end is yet to come.
// A line that is too long is cut.
func (s *side) line(b []byte) (line []byte, n int, long bool) {
	if i := bytes.IndexByte(b[s.scanned:], '\n'); i >= 0 {
		n = s.scanned + i + 1
	}
	switch {
	case s.skip && n == 0:
		return nil, len(b), false
	case s.skip:
		s.skip, s.scanned = false, 0
		return nil, n, false
	case n == 0 && len(b) <= maxLine:
		s.scanned = len(b)
		return nil, 0, false
	case n == 0 || n > maxLine+1:
		s.skip, s.scanned = true, 0
		return b[:maxLine], maxLine, true
	}
	s.scanned = 0
	return bytes.TrimSuffix(b[:n-1], []byte("\r")), n, false
}

// Gap tells of missing bytes. What is left of the line behind them is skipped: it may be the end of a password. The one command
// that waits keeps waiting for its reply; where there may be several, nobody can tell which of them was answered.
func (p *parser) Gap(dir flow.Direction, _ int) error {
	p.sides[dir] = side{skip: true, lost: true}
	if dir == flow.ToClient {
		p.reply = reply{}
	}
	if p.ahead && !p.untied {
		p.untied = true
		p.out.Anomaly(untied)
		p.flush()
	}
	return nil
}

// End tells of the commands that got no reply.
func (p *parser) End() {
	if len(p.open) > 0 && !p.untied {
		p.open[0].add(p, p.reply.lines)
	}
	p.flush()
}

// flush tells of all open commands.
func (p *parser) flush() {
	for len(p.open) > 0 {
		p.done()
	}
}

// command is one that was sent, and what is known of the replies to it.
type command struct {
	event    event.FTP
	began    time.Time
	size     int            // bytes of the replies
	listener parse.Listener // that the client announces
	transfer *transfer      // that it is of
}

// push takes a command that was sent.
func (p *parser) push(c *command) {
	if len(p.open) > 0 && p.sides[flow.ToClient].lost {
		p.flush() // the reply was in what is missing
	}
	if len(p.open) >= min(maxOpen, p.out.Limits.Open) {
		p.out.Anomaly(tooManyOpen)
		p.untied = true
		p.flush()
	}
	p.open = append(p.open, c)
	switch {
	case len(p.open) > 1:
		p.ahead = true
	case p.untied:
		p.begin(c)
		p.done()
	default:
		p.begin(c)
	}
}

// done tells of the first open command; the one behind it is the next to be answered.
func (p *parser) done() {
	c := p.open[0]
	p.open = p.open[1:]
	p.out.Emit(&c.event)
	if len(p.open) > 0 {
		p.begin(p.open[0])
	} else {
		p.open = nil
	}
}

// number returns the number of a new transaction.
func (p *parser) number() uint64 {
	p.tx++
	return p.tx - 1
}
