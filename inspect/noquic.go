package inspect

import (
	"slices"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect/altsvc"
	"github.com/vitrine-ndr/vitrine/inspect/frames"
	"github.com/vitrine-ndr/vitrine/source"
)

// noQUIC keeps from a client that its server is there by QUIC too, where that would be refused. What the server said is told all the same:
// it works on what is forwarded. What it keeps of that is part of a head, nothing of a body.
type noQUIC struct {
	*stream
	lines  altsvc.Lines          // of HTTP/1
	frames *frames.Announcements // nil as long as the connection is not one of HTTP/2
}

func newNoQUIC(s *stream) *noQUIC {
	q := &noQUIC{stream: s}
	s.out.Line = q.lines.Line
	return q
}

// unedited is the anomaly of a header block that would be read with another table than it was written with: the connection ends.
const unedited = "http2_unedited_headers"

// edit returns what is forwarded to the client, of which n bytes are what the server has said.
func (q *noQUIC) edit(e source.Edit, n int) source.Edit {
	if q.frames == nil && q.conn.TLS != nil && q.conn.TLS.ALPN == "h2" {
		q.frames = frames.NewAnnouncements()
	}
	switch {
	case q.frames != nil:
		forward, err := q.frames.Edit(e.Forward)
		if err != nil {
			q.anomaly(unedited)
			return source.Edit{Drop: true}
		}
		e.Forward = forward
	case n > 0 && len(e.Forward) >= n: // else what it says is not forwarded any more
		said, answer := e.Forward[:n], e.Forward[n:]
		if e.Forward = q.lines.Edit(said, q.open()); len(answer) > 0 {
			e.Forward = slices.Concat(e.Forward, answer)
		}
	}
	return e
}

// http1Name is the protocol whose heads are made of lines.
const http1Name = "http1"

// open is the line that the server has not finished, if it may be of a head.
func (q *noQUIC) open() []byte {
	if q.name != http1Name || q.over {
		return nil
	}
	return q.left[flow.ToClient]
}
