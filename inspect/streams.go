package inspect

import (
	"maps"
	"strconv"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect/frames"
	"github.com/vitrine-ndr/vitrine/source"
)

// streams are those of an HTTP/2 connection, as frames.Judge wants to know them. Those that are not in verdicts pass.
type streams struct {
	client   *frames.Client // nil as long as it is not known to be HTTP/2
	server   *frames.Server
	last     uint32
	verdicts map[uint32]flow.Verdict
	answers  map[uint32]*blocked // of those dropped at their head, until they are given
}

func newStreams() streams {
	return streams{server: frames.NewServer(), verdicts: map[uint32]flow.Verdict{}, answers: map[uint32]*blocked{}}
}

// begin notes that a stream is judged now.
func (s *streams) begin(h *event.HTTP) { s.last = max(s.last, h.Stream) }

// hold notes whether the verdict about a stream waits for its body.
func (s *streams) hold(h *event.HTTP, on bool) {
	if delete(s.verdicts, h.Stream); on {
		s.verdicts[h.Stream] = flow.Hold
	}
}

// release lets those pass whose verdict was waited for.
func (s *streams) release() {
	maps.DeleteFunc(s.verdicts, func(_ uint32, v flow.Verdict) bool { return v == flow.Hold })
}

// drop notes that nothing more of a stream is forwarded.
func (s *streams) drop(h *event.HTTP, b *blocked) {
	s.verdicts[h.Stream], s.answers[h.Stream] = flow.Drop, b
}

// Judged is the highest stream that was judged.
func (s *streams) Judged() uint32 { return s.last }

// Verdict is what was decided about a stream.
func (s *streams) Verdict(id uint32) flow.Verdict { return s.verdicts[id] }

// Over forgets a stream.
func (s *streams) Over(id uint32) {
	delete(s.answers, id)
	delete(s.verdicts, id)
}

// Answer is the page in HTTP/2.
func (s *streams) Answer(id uint32) (lines [][2]string, body []byte) {
	lines = [][2]string{{":status", "403"}}
	b := s.answers[id]
	s.Over(id)
	if b == nil {
		return lines, nil
	}
	kind, body := b.render()
	lines = append(lines, [][2]string{
		{"content-type", kind}, {"cache-control", "no-store"}, {"x-content-type-options", "nosniff"}, {"vitrine-reference", b.page.Reference},
	}...)
	if b.request.Method == "HEAD" {
		return append(lines, [2]string{"content-length", strconv.Itoa(len(body))}), nil
	}
	return lines, body
}

// toServer2 is toServer once HTTP/2 was recognised. What was held until then begins with the client's first byte.
func (l *line) toServer2(b []byte) source.Edit {
	s := &l.streams
	if s.client == nil {
		s.client = frames.NewClient(s.server, s)
	}
	out, err := s.client.Edit(b)
	l.held = nil
	if err != nil {
		l.emitAs(l.name, l.ambiguous(nil, err.Error()))
		return source.Edit{Drop: true}
	}
	return source.Edit{Forward: out, Held: s.client.Held(), Waiting: s.server.Waiting()}
}

// toClient2 is toClient where the connection is, or may be, one of HTTP/2.
func (l *line) toClient2(at time.Time, b []byte) source.Edit {
	return source.Edit{Forward: l.streams.server.Edit(b, func(b []byte) {
		if len(b) > 0 {
			l.Data(flow.ToClient, at, b)
		}
	})}
}
