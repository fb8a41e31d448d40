// Package template is the example to copy for a new protocol: Finger (RFC 1288), where a client sends one line and a server
// answers with text until it closes the connection. Ordered bytes and gaps of both directions go in, one event a connection
// comes out. It is not among the protocols that are recognised.
//
// To add a protocol, copy this folder; give it a body type in package event; write playbooks before the parser; add the
// Protocol to package all.
package template

import (
	"bytes"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// Protocol is Finger.
var Protocol = parse.Protocol{Name: "finger", Proto: flow.TCP, Probe: probe, New: newParser}

// Anomaly codes begin with the name of the protocol. Once released they stay as they are.
const (
	longQuery = "finger_long_query"
	twoQuery  = "finger_second_query"
)

// maxQuery is how long a query line may be. Every length that a peer chooses needs a bound.
const maxQuery = 512

// probe looks at the beginning of one direction. It must not say No to a prefix of what it says Yes to, nor Yes to what
// another protocol may begin with.
func probe(dir flow.Direction, b []byte) parse.Match {
	if dir == flow.ToClient {
		return parse.No // an answer may be any text
	}
	line, _, whole := bytes.Cut(b, []byte("\r\n"))
	for i, c := range line {
		if c < ' ' && !(c == '\r' && i == len(line)-1) || i == maxQuery && c != '\r' {
			return parse.No
		}
	}
	if whole {
		return parse.Yes
	}
	return parse.Maybe
}

// parser holds what one connection needs, and nothing that grows without a bound.
type parser struct {
	out  parse.Output
	body event.Unknown
	any  bool // something was seen
}

func newParser(out parse.Output) parse.Parser { return &parser{out: out} }

// Parse consumes what it can and returns how much that was. The rest comes again with more behind it.
func (p *parser) Parse(dir flow.Direction, b []byte) (int, error) {
	p.any = true
	if dir == flow.ToClient {
		p.answer(b)
		return len(b), nil
	}
	n := 0
	for {
		line, _, whole := bytes.Cut(b[n:], []byte("\r\n"))
		if len(bytes.TrimSuffix(line, []byte("\r"))) > maxQuery {
			p.out.Anomaly(longQuery)
			return len(b), parse.ErrGiveUp // nothing that follows can be understood
		}
		if !whole {
			return n, nil
		}
		p.query(line)
		n += len(line) + 2
	}
}

func (p *parser) query(line []byte) {
	if p.body.BytesToServer > 0 {
		p.out.Anomaly(twoQuery) // hostile bytes are no errors: tell of them and go on
		return
	}
	p.body.BytesToServer = uint64(len(line) + 2)
	p.body.ToServer = bytes.Clone(line[:min(len(line), p.out.Limits.Body)]) // b is the caller's: what is kept is copied
}

func (p *parser) answer(b []byte) {
	p.body.BytesToClient += uint64(len(b))
	room := min(p.out.Limits.Body-len(p.body.ToClient), len(b))
	p.body.ToClient = append(p.body.ToClient, b[:room]...)
}

// Gap tells of missing bytes. What a gap in an answer hides is only counted; a query without its beginning is none.
func (p *parser) Gap(dir flow.Direction, n int) error {
	if dir == flow.ToServer && p.body.BytesToServer == 0 {
		return parse.ErrGiveUp
	}
	if dir == flow.ToClient {
		p.body.BytesToClient += uint64(n)
	}
	return nil
}

// End emits what is open. The event belongs to its receiver from then on.
func (p *parser) End() {
	if p.any {
		p.out.Emit(&p.body)
	}
}
