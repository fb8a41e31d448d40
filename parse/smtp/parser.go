package smtp

import (
	"bytes"
	"slices"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// parser follows one connection.
type parser struct {
	out     parse.Output
	sides   [2]side // by flow.Direction
	session session
	tx      *transaction   // that the client is at
	open    []*transaction // that the client is done with and that wait for replies, in their order
	pending []pending      // commands whose replies are to come, in their order
	skip    int            // replies to commands that are no longer among them
	count   uint64         // transactions that were emitted
	noted   []string       // anomalies of this transaction, to tell of each once

	greeted  bool // the server has spoken
	early    bool // the client spoke before
	doubtful bool // commands or replies were lost, so what belongs together is uncertain
	over     bool // the connection became something else
	login    login
	reply    reply
	inData   bool    // a message is being sent behind DATA
	missed   bool    // its beginning was not seen
	holed    bool    // something in it was not seen, which may be its end
	literal  bool    // a lone dot in it ends it with the right line ends only
	regular  bool    // a line of it ended in CR LF
	line     lineEnd // what comes before its next byte
	chunk    int64   // bytes that are still to come of a BDAT command
	last     bool    // and the message ends with them
}

// side is one direction: a state that takes the next bytes, and what it needs.
type side struct {
	// state consumes a prefix of b and says whether there is more to do with what follows. b is never empty.
	state   func(p *parser, s *side, b []byte) (n int, more bool)
	scanned int // bytes of the unfinished line that are known to hold no line end

	waitsFor string // the client's command whose reply decides what the bytes behind it are; empty if there is none
	waiting  []byte // copy of those bytes, which are left meanwhile
	ahead    int    // how many of those left have been parsed from the copy
}

// pending is a command that waits for its reply.
type pending struct {
	tx   *transaction
	verb string // empty for one that is not known, endOfData for a message
	line int    // among the commands of tx, -1 if it was not kept
	rcpt string // of RCPT
}

func newParser(out parse.Output) parse.Parser {
	p := &parser{out: out}
	p.tx = p.begin()
	p.sides[flow.ToServer].state, p.sides[flow.ToClient].state = (*parser).command, (*parser).replyLine
	return p
}

// Parse takes the next bytes of a direction.
func (p *parser) Parse(dir flow.Direction, b []byte) (int, error) {
	s := &p.sides[dir]
	if !p.greeted {
		p.tx.seen()
	}
	n := min(s.ahead, len(b))
	s.ahead -= n
	return n + p.run(s, b[n:]), nil
}

func (p *parser) run(s *side, b []byte) int {
	n := 0
	for more := true; more && n < len(b) && !p.over; {
		var k int
		k, more = s.state(p, s, b[n:])
		n += k
	}
	return n
}

// Gap tells of missing bytes. Behind them commands and replies can only be matched by what they are.
func (p *parser) Gap(dir flow.Direction, n int) error {
	s := &p.sides[dir]
	s.scanned, s.ahead, s.waiting = 0, 0, nil
	p.doubtful, p.tx.gap = true, true
	if dir == flow.ToServer {
		p.gapInMessage(n)
		return nil
	}
	p.greeted, p.reply = true, reply{}
	for len(p.pending) > 0 {
		p.pending[0].tx.gap = true
		p.forget()
	}
	p.assume()
	p.drain()
	return nil
}

// End ends both directions.
func (p *parser) End() {
	if len(p.sides[flow.ToServer].waiting) > 0 {
		p.assume() // no reply will come
	}
	p.endOpen()
	p.finish()
	for len(p.pending) > 0 {
		p.forget()
	}
	p.drain()
	p.over = true
}

// await leaves what follows a command until its reply says what it is.
func (p *parser) await(s *side, verb string) { s.state, s.waitsFor = (*parser).wait, verb }

// wait holds a copy of what is left. If no reply comes, the likely one is assumed.
func (p *parser) wait(s *side, b []byte) (int, bool) {
	if len(b) > min(maxWait, p.out.Limits.Header) {
		s.waiting = nil // b is at hand
		p.assume()
		return 0, true
	}
	s.waiting = append(s.waiting, b[len(s.waiting):]...)
	return 0, false
}

// assume goes on as if the server had agreed.
func (p *parser) assume() {
	for s := &p.sides[flow.ToServer]; s.waitsFor != "" && !p.over; {
		next := (*parser).command
		switch s.waitsFor {
		case "DATA":
			next = p.beginData()
		case "AUTH":
			if !isCommand(s.waiting) {
				next = (*parser).credentials
			}
		case "STARTTLS":
			p.secure()
		case endOfData:
			next = p.goOn()
		}
		p.resume(next)
	}
}

// resume goes on with what the client has sent meanwhile.
func (p *parser) resume(state func(p *parser, s *side, b []byte) (int, bool)) {
	s := &p.sides[flow.ToServer]
	waiting := s.waiting
	s.state, s.waitsFor, s.waiting = state, "", nil
	s.ahead += p.run(s, waiting)
}

// ask notes that a reply to a command is to come.
func (p *parser) ask(q pending) {
	if len(p.pending) >= p.out.Limits.Open {
		p.note(tooManyOpen)
		p.forget()
		p.skip++
		p.drain()
	}
	q.tx = p.tx
	q.tx.waits++
	p.pending = append(p.pending, q)
}

// forget gives up waiting for the oldest reply.
func (p *parser) forget() {
	q := p.pending[0]
	p.pending = p.pending[1:]
	q.tx.waits--
	q.tx.unanswered = true
}

// note tells of an anomaly, once a transaction.
func (p *parser) note(code string) {
	if !slices.Contains(p.noted, code) {
		p.noted = append(p.noted, code)
		p.out.Anomaly(code)
	}
}

// nextLine returns the first line of b without its end, and its length with it: 0 if the end is yet to come, and then what has
// been searched is not searched again. A line that is too long is nil, and the rest of it is skipped.
func (p *parser) nextLine(s *side, b []byte) ([]byte, int) {
	most := min(maxLine, p.out.Limits.Header)
	n := s.scanned + bytes.IndexByte(b[s.scanned:], '\n') + 1
	found := n > s.scanned
	if found && n <= most {
		s.scanned = 0
		return p.tidy(b[:n-1]), n
	}
	s.scanned = len(b)
	if !found && len(b) < most {
		return nil, 0
	}
	p.note(lineTooLong)
	s.scanned = 0
	if found {
		return nil, n
	}
	s.state = skipLine(s.state)
	return nil, len(b)
}

// skipLine skips the rest of a line, then goes back.
func skipLine(back func(*parser, *side, []byte) (int, bool)) func(*parser, *side, []byte) (int, bool) {
	return func(_ *parser, s *side, b []byte) (int, bool) {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return len(b), false
		}
		s.state = back
		return i + 1, true
	}
}

// tidy drops the CR of a line end and tells of what makes a line doubtful.
func (p *parser) tidy(line []byte) []byte {
	line, found := bytes.CutSuffix(line, []byte("\r"))
	if !found {
		p.note(bareLF)
	}
	if bytes.IndexByte(line, '\r') >= 0 {
		p.note(bareCR)
	}
	if bytes.IndexByte(line, 0) >= 0 {
		p.note(nul)
	}
	return line
}
