package inspect

import (
	"slices"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/source"
)

// line decides what of a connection is forwarded. What a client says is parsed first; forwarded is what belongs to requests that were
// judged, and to no other ones.
type line struct {
	*stream
	held    []byte  // what the client has said and was not forwarded yet
	spare   []byte  // room for what is held next
	streams streams // of HTTP/2

	holding bool                // the request at hand is not judged yet
	block   *blocked            // of HTTP/1: the request that nothing is forwarded of, nor of what follows it. Nil: none
	cut     int                 // how many of the client's last bytes are not forwarded for that reason
	owed    int                 // answers to earlier requests that are still to come
	halfway bool                // an answer has begun and not ended
	said    bool                // the client was told; nothing is forwarded any more
	told    map[uint64][]string // rules that were told of open transactions, by their number
}

// Edit takes what was said in a direction, and returns what of it is forwarded.
func (s *stream) Edit(dir flow.Direction, at time.Time, b []byte) source.Edit {
	if !s.conn.RefusesQUIC {
		return s.decide(dir, at, b)
	}
	if s.noQUIC == nil {
		s.noQUIC = newNoQUIC(s)
	}
	if dir == flow.ToServer {
		return s.decide(dir, at, b)
	}
	s.noQUIC.lines.Forget()
	return s.noQUIC.edit(s.decide(dir, at, b), len(b))
}

// decide has the rules decide what is forwarded.
func (s *stream) decide(dir flow.Direction, at time.Time, b []byte) source.Edit {
	if s.plaintext == 0 && s.line == nil && s.blocks() {
		s.line = &line{stream: s, streams: newStreams(), told: map[uint64][]string{}}
		s.out.Judge = s.line
	}
	switch {
	case s.line == nil:
		s.Data(dir, at, b)
		return source.Edit{Forward: b}
	case dir == flow.ToServer:
		return s.line.toServer(at, b)
	}
	return s.line.toClient(at, b)
}

// Release gives up judging what is held back.
func (s *stream) Release(dir flow.Direction, _ time.Time) source.Edit {
	if s.line == nil || dir == flow.ToClient {
		return source.Edit{}
	}
	return s.line.release()
}

// blocks tells whether there are rules that block in this connection.
func (s *stream) blocks() bool {
	e := s.engine()
	return e != nil && e.Blocks(s.policy())
}

func (l *line) toServer(at time.Time, b []byte) source.Edit {
	if l.said || l.block != nil {
		return source.Edit{Waiting: !l.said && l.canAnswer()}
	}
	all := b
	if len(l.held) > 0 {
		l.held = append(l.held, b...)
		all = l.held
	}
	if len(b) > 0 {
		l.Data(flow.ToServer, at, b)
	}
	switch {
	case l.block != nil:
		l.held = nil
		return source.Edit{Forward: all[:max(0, len(all)-l.cut)], Waiting: l.canAnswer()}
	case l.over && l.failed():
		return source.Edit{Drop: true}
	case l.name == http2Name && !l.over && l.parser != nil:
		return l.toServer2(all)
	}
	n := min(l.undecided(), len(all))
	return source.Edit{Forward: l.keep(all, n), Held: n}
}

// keep holds the last n bytes of b back, which is what is held already or begins where nothing is, and returns the others.
func (l *line) keep(b []byte, n int) []byte {
	rest := b[len(b)-n:]
	if len(l.held) == 0 {
		l.held = append(l.held, rest...)
	} else {
		l.held, l.spare = append(l.spare[:0], rest...), l.held
	}
	return b[:len(b)-n]
}

// undecided is how many of the client's last bytes may still be part of a request that is dropped.
func (l *line) undecided() int {
	switch {
	case l.over:
		return 0
	case l.parser == nil:
		if l.mayAsk() {
			return len(l.left[flow.ToServer])
		}
		return 0
	}
	p, ok := l.parser.(parse.Judged)
	if !ok {
		return 0
	}
	request, unjudged := p.Tail()
	if l.holding {
		return request
	}
	return unjudged
}

// mayAsk tells whether it is still possible that the stream is of a protocol with requests.
func (l *line) mayAsk() bool {
	protocols := l.inspector.cfg.Protocols
	return slices.ContainsFunc(protocols, func(p parse.Protocol) bool {
		i := slices.IndexFunc(protocols, func(o parse.Protocol) bool { return o.Name == p.Name })
		return p.Requests && l.ruled&(1<<i) == 0
	})
}

// failed tells whether a connection ends of which requests can no longer be told.
func (l *line) failed() bool {
	p := l.inspector.protocol[l.name]
	return !l.inspector.cfg.Doubtful && (l.name == "" || p != nil && p.Requests)
}

func (l *line) toClient(at time.Time, b []byte) source.Edit {
	switch {
	case l.said:
		return source.Edit{}
	case !l.over && (l.parser == nil || l.name == http2Name):
		l.halfway = true
		e := l.toClient2(at, b)
		e.Waiting = l.streams.client == nil && len(l.held) > l.undecided()
		return e
	case len(b) > 0:
		l.halfway = true // unless the parser finds its end
		l.Data(flow.ToClient, at, b)
	}
	if l.block == nil {
		return source.Edit{Forward: b, Waiting: len(l.held) > l.undecided()}
	}
	if !l.canAnswer() {
		return source.Edit{Forward: b}
	}
	l.said = true
	return source.Edit{Forward: append(slices.Clip(b), l.answer()...), End: true}
}

// canAnswer tells whether it is the dropped request's turn to be answered.
func (l *line) canAnswer() bool { return l.block != nil && l.owed == 0 }

// answer is what the client is told. An answer that has begun goes on no more: then there is nothing to say.
func (l *line) answer() []byte {
	if l.halfway {
		return nil
	}
	text := l.block.http1()
	if l.block.request != nil {
		l.listen(flow.ToClient, text)
	}
	return text
}

// listen has the parser take what the other side is told in somebody's name, so that events say it too.
func (l *line) listen(dir flow.Direction, b []byte) {
	if len(b) > 0 && !l.over {
		l.guard(func() { l.take(dir, slices.Clone(b)) })
	}
}

// release forwards what is held, whatever it is.
func (l *line) release() source.Edit {
	if l.streams.client != nil {
		l.streams.release()
		return l.toServer2(nil)
	}
	b := l.held
	l.holding, l.held = false, nil
	return source.Edit{Forward: b}
}

// outOfTurn drops what is recognised only after both sides have spoken more than once: what has been forwarded meanwhile was not judged.
func (l *line) outOfTurn() {
	if l.Doubt(nil, "out_of_turn"); l.block != nil {
		l.cut = len(l.held)
	}
}
