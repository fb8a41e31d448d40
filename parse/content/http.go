package content

import (
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// HTTP builds the event of one transaction of any HTTP version, and the events of the files that it carried. Emit must be
// called in the end, whatever happened.
type HTTP struct {
	out    *parse.Output
	event  *event.HTTP
	began  time.Time
	lost   bool
	asked  bool    // the judge was told of all that it judges by
	halves [2]half // by flow.Direction: the request, the response
}

// half is what is known of one message.
type half struct {
	message  *event.Message // nil before its headers
	sink     *Sink          // nil before the first byte of its body
	parts    *multipart     // nil if it is no form with files
	encoding string
	state    event.State // empty until it has ended
	last     time.Time   // when its latest bytes were seen
}

// NewHTTP returns the builder of the transaction with that number. Its first byte was seen when it began.
func NewHTTP(out *parse.Output, tx uint64, version string, began time.Time) *HTTP {
	return &HTTP{out: out, event: &event.HTTP{Tx: tx, Version: version}, began: began}
}

// Stream sets the HTTP/2 stream that carries the transaction.
func (h *HTTP) Stream(id uint32) { h.event.Stream = id }

// Lost notes that something else than bytes of a body was not seen, such as header fields.
func (h *HTTP) Lost() { h.lost = true }

// Request takes the head of the request. The target is as it was sent; the authority is that of the Host header or the
// :authority field. A host in the target goes before it (RFC 9112 section 3.2.2).
func (h *HTTP) Request(method, target, authority string, headers []string) {
	e := h.event
	e.Method, e.URL = method, target
	if a, ok := targetAuthority(method, target); ok {
		authority = a
	}
	e.Host, e.Port = splitAuthority(authority)
	e.UserAgent, _ = Header(headers, "user-agent")
	e.Referer, _ = Header(headers, "referer")
	e.Request = h.begin(flow.ToServer, headers)
	if j := h.out.Judge; j != nil {
		j.Begin(e)
	}
}

// ask has the request judged, by what is known of it.
func (h *HTTP) ask() {
	if j := h.out.Judge; j != nil && !h.asked && h.event.Request != nil {
		h.asked = true
		j.Asked(h.event)
	}
}

// Doubt tells the judge of an anomaly.
func (h *HTTP) Doubt(code string) {
	if j := h.out.Judge; j != nil {
		j.Doubt(h.event, code)
	}
}

// Dropped tells whether the judge has dropped the request.
func (h *HTTP) Dropped() bool { return h.out.Judge != nil && h.out.Judge.Dropped(h.event) }

// askEarly has a request judged whose body is longer than what it is judged by.
func (h *HTTP) askEarly(m *half) {
	if h.out.Judge == nil || h.asked || m.message == nil || m.sink.size < parse.JudgedBody {
		return
	}
	m.message.Content = event.Content{State: event.Truncated, Size: m.sink.size, Body: m.sink.kept, Truncated: true}
	h.ask()
	m.message.Content = event.Content{}
}

// Response takes the head of the final response.
func (h *HTTP) Response(status uint16, reason string, headers []string) {
	e := h.event
	e.Status, e.Reason = status, reason
	kind, _ := Header(headers, "content-type")
	e.ContentType = mediaType(kind)
	e.Response = h.begin(flow.ToClient, headers)
}

func (h *HTTP) begin(dir flow.Direction, headers []string) *event.Message {
	m := &h.halves[dir]
	m.message = &event.Message{Headers: headers}
	m.encoding = List(headers, "content-encoding")
	m.last = h.out.Seen()
	return m.message
}

// Host returns the host that the request asked for.
func (h *HTTP) Host() string { return h.event.Host }

// URL returns the target of the request.
func (h *HTTP) URL() string { return h.event.URL }

// Coding adds transfer codings that lie around the body in HTTP/1.1, as in a Transfer-Encoding header without "chunked".
func (h *HTTP) Coding(dir flow.Direction, codings string) {
	if m := &h.halves[dir]; codings != "" {
		m.encoding = join(m.encoding, codings)
	}
}

// Body takes the next bytes of a message's body, as transferred.
func (h *HTTP) Body(dir flow.Direction, b []byte) {
	if len(b) == 0 {
		return
	}
	m := &h.halves[dir]
	m.last = h.out.Seen()
	h.open(dir).Write(b)
	if dir == flow.ToServer {
		h.askEarly(m)
	}
}

// Gap tells of n bytes of the body that were not seen.
func (h *HTTP) Gap(dir flow.Direction, n int) {
	m := &h.halves[dir]
	m.last = h.out.Seen()
	h.open(dir).Gap(n)
	if m.parts != nil {
		m.parts.gap(n)
	}
}

// open returns the sink of a body. What is not needed for a message without one is not made.
func (h *HTTP) open(dir flow.Direction) *Sink {
	m := &h.halves[dir]
	if m.sink != nil {
		return m.sink
	}
	m.sink = New(h.out, m.encoding)
	if dir == flow.ToServer && m.message != nil {
		kind, _ := Header(m.message.Headers, "content-type")
		if m.parts = newMultipart(h.out, kind); m.parts != nil {
			m.sink.Tee(m.parts.write)
		}
	}
	return m.sink
}

// Trailers takes the trailer fields of a message.
func (h *HTTP) Trailers(dir flow.Direction, lines []string) {
	if m := &h.halves[dir]; m.message != nil {
		m.message.Trailers = lines
	}
}

// End ends a message. The state says whether all of it was seen.
func (h *HTTP) End(dir flow.Direction, state event.State) {
	m := &h.halves[dir]
	if m.state != "" {
		return
	}
	m.state = state
	if m.sink != nil {
		c := m.sink.Finish(state)
		if m.state = worse(state, c.State); m.message != nil {
			m.message.Content = c
		}
		if m.parts != nil {
			m.parts.end()
		}
	}
	if dir == flow.ToServer {
		h.ask()
	}
}

// Ended says whether a message has ended.
func (h *HTTP) Ended(dir flow.Direction) bool { return h.halves[dir].state != "" }

// Emit hands over the transaction and then its files. A message that has not ended is truncated.
func (h *HTTP) Emit() {
	e := h.event
	request, response := &h.halves[flow.ToServer], &h.halves[flow.ToClient]
	h.End(flow.ToServer, event.Truncated)
	h.End(flow.ToClient, event.Truncated)
	e.State = worse(request.state, response.state)
	if h.lost || request.message == nil {
		e.State = event.HasGap // it was sent, but not seen
	}
	if d := response.last.Sub(h.began); response.message != nil && d > 0 {
		e.DurationUS = d.Microseconds()
	}
	h.out.Emit(e)
	h.files(flow.ToServer)
	h.files(flow.ToClient)
	for i := range h.halves {
		if s := h.halves[i].sink; s != nil {
			s.Release()
		}
	}
}

// files emits the files of a message: those of a form, or the body itself. A form without files is none.
func (h *HTTP) files(dir flow.Direction) {
	m := &h.halves[dir]
	if m.message == nil || h.event.Method == "CONNECT" { // what goes through a tunnel is no file
		return
	}
	if m.parts != nil {
		for _, f := range m.parts.files {
			h.file(dir, f.name, &f.content)
		}
		return
	}
	kind, _ := Header(m.message.Headers, "content-type")
	if m.message.Size == 0 || dir == flow.ToServer && mediaType(kind) == "application/x-www-form-urlencoded" {
		return
	}
	disposition, _ := Header(m.message.Headers, "content-disposition")
	name := dispositionName(disposition)
	if name == "" {
		name = targetName(h.event.URL)
	}
	h.file(dir, name, &m.message.Content)
}

func (h *HTTP) file(dir flow.Direction, name string, c *event.Content) {
	h.out.Emit(&event.File{
		Tx: h.event.Tx, Name: name, Type: c.Type, Size: c.Size, SHA256: c.SHA256, State: c.State,
		Direction: dir.String(), Host: h.event.Host, URL: h.event.URL,
	})
}
