package http1

import (
	"bytes"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/content"
)

// become ends HTTP/1 with the response that agreed to something else.
func (p *parser) become(s *side, lines []string) {
	x := s.x
	next := connect
	if x.method != connect {
		next = content.List(lines, "upgrade")
	}
	upgrade := &parse.Upgrade{Host: x.Host(), URL: x.URL(), Response: lines}
	p.sides[flow.ToServer].waitsFor = nil // its bytes are left to the next parser
	if client := &p.sides[flow.ToServer]; client.x == x {
		p.end(client, event.Truncated)
	}
	p.end(s, event.Complete)
	p.over = true
	p.out.Become(protocol(next), upgrade)
}

// protocol returns our name of what follows, or nothing if it is to be recognised.
func protocol(next string) string {
	first, _, _ := strings.Cut(next, ",")
	switch strings.ToLower(strings.Trim(first, " \t")) {
	case "websocket":
		return "websocket"
	case "h2c":
		return "http2"
	}
	return ""
}

// wait leaves what follows a request that may be the last of HTTP/1, until the answer says whether it was. Without one, as
// where only one direction is seen, the client's word is taken for it.
func (p *parser) wait(s *side, b []byte) (int, bool) {
	if len(b) > p.out.Limits.Header {
		x := s.waitsFor
		p.over = true
		p.out.Become(protocol(x.next), &parse.Upgrade{Host: x.Host(), URL: x.URL()})
		return 0, false
	}
	s.waiting = append(s.waiting, b[len(s.waiting):]...)
	return 0, false
}

// answered goes on with the requests behind one that was not the last after all.
func (p *parser) answered(x *exchange) {
	s := &p.sides[flow.ToServer]
	if s.waitsFor != x || p.over {
		return
	}
	waiting := bytes.Clone(s.waiting)
	s.state, s.waitsFor, s.waiting = (*parser).start, nil, s.waiting[:0]
	s.ahead += p.run(s, waiting)
}
