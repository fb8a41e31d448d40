// Package websocket follows WebSocket connections (RFC 6455) from the end of their HTTP upgrade. Ordered bytes and gaps of
// both directions go in, one event a message comes out, its fragments joined, unmasked and decompressed (RFC 7692). It
// knows nothing of what the messages mean.
package websocket

import (
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/content"
)

// Protocol is WebSocket. It is never recognised by its bytes: HTTP becomes it.
var Protocol = parse.Protocol{
	Name:  "websocket",
	Probe: func(flow.Direction, []byte) parse.Match { return parse.No },
	New:   newParser,
}

// Anomaly codes.
const (
	unmasked     = "websocket_unmasked"            // a client's frame, which RFC 6455 section 5.1 wants masked
	masked       = "websocket_masked"              // a server's frame, which must not be
	reservedBits = "websocket_reserved_bits"       // set without an extension that gives them a meaning
	badOpcode    = "websocket_bad_opcode"          // reserved; the frame is skipped
	badControl   = "websocket_bad_control_frame"   // in fragments or too long; it is skipped
	badClose     = "websocket_bad_close"           // without a whole or valid code
	longLength   = "websocket_long_length"         // in more bytes than it needs
	badLength    = "websocket_bad_length"          // beyond 63 bits: nothing that follows can be understood
	noMessage    = "websocket_unexpected_continue" // a continuation of nothing
	twoMessages  = "websocket_interrupted_message" // a new message before the last fragment of the one before
	lostFrames   = "websocket_lost_frames"         // after a gap: where frames begin is no longer known
	afterClose   = "websocket_message_after_close" // RFC 6455 section 5.5.1
)

// parser follows one connection.
type parser struct {
	out   parse.Output
	sides [2]side // by flow.Direction
	tx    uint64  // number of the next message
	host  string
	url   string
}

func newParser(out parse.Output) parse.Parser {
	p := &parser{out: out}
	for dir := range p.sides {
		p.sides[dir] = side{dir: flow.Direction(dir), compressed: true, takeover: true, state: (*parser).frame}
	}
	if u := out.Upgrade; u != nil {
		p.host, p.url = u.Host, u.URL
		if u.Response != nil {
			p.agree(content.List(u.Response, "sec-websocket-extensions"))
		}
	}
	return p
}

// agree reads the extensions that the server has chosen. Where its answer was not seen, compression is taken for agreed
// on, as the frames say themselves which messages are compressed.
func (p *parser) agree(extensions string) {
	client, server := &p.sides[flow.ToServer], &p.sides[flow.ToClient]
	client.compressed, server.compressed = false, false
	for extension := range strings.SplitSeq(strings.ToLower(extensions), ",") {
		name, parameters, _ := strings.Cut(extension, ";")
		if strings.TrimSpace(name) != "permessage-deflate" {
			continue
		}
		client.compressed, server.compressed = true, true
		client.takeover = !strings.Contains(parameters, "client_no_context_takeover")
		server.takeover = !strings.Contains(parameters, "server_no_context_takeover")
	}
}

// Parse takes the next bytes of a direction.
func (p *parser) Parse(dir flow.Direction, b []byte) (int, error) {
	s := &p.sides[dir]
	n := 0
	for more := true; more && n < len(b); {
		var k int
		k, more = s.state(p, s, b[n:])
		n += k
	}
	if p.sides[0].lost && p.sides[1].lost {
		return n, parse.ErrGiveUp
	}
	return n, nil
}

// Gap tells of missing bytes. A frame goes on behind them if they are surely its own; else this direction is lost, since
// nothing tells where a frame begins.
func (p *parser) Gap(dir flow.Direction, n int) error {
	s := &p.sides[dir]
	if n > 0 && int64(n) <= s.left {
		s.skip(n)
		p.passed(s, n)
		return nil
	}
	if s.lost {
		return nil
	}
	p.lose(s)
	p.out.Anomaly(lostFrames)
	if p.sides[dir.Reverse()].lost {
		return parse.ErrGiveUp
	}
	return nil
}

// lose gives up a direction.
func (p *parser) lose(s *side) {
	s.end(p, event.HasGap)
	s.lost, s.left, s.state = true, 0, (*parser).ignore
}

// ignore skips what follows a loss.
func (p *parser) ignore(_ *side, b []byte) (int, bool) { return len(b), true }

// End ends both directions; a message that is still open was cut off.
func (p *parser) End() {
	for i := range p.sides {
		p.sides[i].end(p, event.Truncated)
		p.sides[i].closeInflater()
	}
}

func (p *parser) emit(s *side, m *message, state event.State) {
	p.out.Emit(&event.WebSocket{
		Tx: p.tx, Direction: s.dir.String(), Opcode: names[m.opcode], CloseCode: m.code, Host: p.host, URL: p.url,
		Content: m.sink.Finish(state),
	})
	m.sink.Release()
	p.tx++
}
