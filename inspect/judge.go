package inspect

import (
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	"github.com/vitrine-ndr/vitrine/detect"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect/page"
	"github.com/vitrine-ndr/vitrine/parse/content"
)

// http2Name is the protocol whose streams are judged one by one.
const http2Name = "http2"

// Ambiguous is the rule of findings about requests that two readers would understand in two ways.
const Ambiguous = "vitrine.ambiguous-request"

// blocked is a request that nothing is forwarded of.
type blocked struct {
	page    page.Block
	request *event.HTTP // nil if its head could not be read
}

func (s *stream) engine() *detect.Engine {
	if d := s.inspector.cfg.Detect; d != nil {
		return d.Load()
	}
	return nil
}

// policy is the id of what the gateway has decided to inspect the connection by.
func (s *stream) policy() string {
	if s.conn.Policy == nil {
		return ""
	}
	return s.conn.Policy.ID
}

// find tells of what fits a transaction that has ended, and was not told before.
func (s *stream) find(body event.Body) {
	e := s.engine()
	if e == nil {
		return
	}
	var told []string
	if h, ok := body.(*event.HTTP); ok && s.line != nil {
		told = s.line.told[h.Tx]
		delete(s.line.told, h.Tx)
		s.line.emitted(h)
	}
	_, findings := e.Inspect(&event.Event{Conn: s.conn, Body: body}, detect.End)
	for _, f := range findings {
		if !slices.Contains(told, f.Rule) {
			s.emitAs(s.name, f)
		}
	}
}

// emitted counts the answers that are still to come.
func (l *line) emitted(h *event.HTTP) {
	if l.halfway = false; h.Request != nil && l.owed > 0 {
		l.owed--
	}
}

// Begin judges a request by its head.
func (l *line) Begin(body event.Body) {
	h, ok := body.(*event.HTTP)
	if !ok || l.block != nil || h.Stream != 0 && h.Stream%2 == 0 { // a server's own request is not the client's
		return
	}
	l.owed++
	l.streams.begin(h)
	if tunnels(h) {
		l.Doubt(h, "tunnel")
		return
	}
	l.judge(h, detect.Head)
}

// tunnels tells whether what follows a request could be requests in another form.
func tunnels(h *event.HTTP) bool {
	if h.Method == "CONNECT" {
		_, extended := content.Header(h.Request.Headers, ":protocol")
		return !extended
	}
	return strings.Contains(strings.ToLower(content.List(h.Request.Headers, "upgrade")), "h2c")
}

// Asked judges it again by what was seen of its body.
func (l *line) Asked(body event.Body) {
	if h, ok := body.(*event.HTTP); ok && l.block == nil && (h.Stream == 0 || h.Stream%2 == 1) {
		l.judge(h, detect.Request)
	}
}

func (l *line) judge(h *event.HTTP, stage detect.Stage) {
	e := l.engine()
	if e == nil || l.Dropped(h) {
		return
	}
	verdict, findings := e.Inspect(&event.Event{Conn: l.conn, Body: h}, stage)
	l.holding = verdict == flow.Hold
	l.streams.hold(h, l.holding)
	if verdict == flow.Drop {
		l.drop(h, findings)
	}
}

// Dropped tells whether a request that is still open was dropped.
func (l *line) Dropped(body event.Body) bool {
	h, ok := body.(*event.HTTP)
	return ok && len(l.told[h.Tx]) > 0
}

// Doubt drops a request of which it is not certain where it ends, unless such ones are let through.
func (l *line) Doubt(body event.Body, code string) {
	h, _ := body.(*event.HTTP)
	if l.inspector.cfg.Doubtful || l.block != nil || h != nil && l.Dropped(h) || !l.blocks() {
		return
	}
	l.drop(h, []*event.Finding{l.ambiguous(h, code)})
}

// ambiguous is what is told of such a request; h is nil if its head is not known.
func (l *line) ambiguous(h *event.HTTP, code string) *event.Finding {
	f := &event.Finding{Engine: "request", Rule: Ambiguous, Class: event.ClassPolicy, Severity: 2, Action: event.Blocked, Name: "Request that can be understood in two ways: " + code}
	if h != nil {
		f.Tx, f.Method, f.Host, f.URL = h.Tx, h.Method, h.Host, h.URL
	}
	f.Reference = reference(l.conn.EventID(l.at, l.events))
	return f
}

// drop tells of the findings, and prepares what the client is told. The last of them that blocks is the reason.
func (l *line) drop(h *event.HTTP, findings []*event.Finding) {
	b := &blocked{request: h}
	for _, f := range findings {
		f.Reference = reference(l.conn.EventID(l.at, l.events))
		if h != nil {
			l.told[h.Tx] = append(l.told[h.Tx], f.Rule)
		}
		if f.Action == event.Blocked {
			b.page = page.Block{Host: f.Host, Policy: l.policy(), Rule: f.Rule, Why: f.Name, Reference: f.Reference, Contact: l.inspector.cfg.Contact}
		} else {
			f.Reference = ""
		}
		l.emitAs(l.name, f)
	}
	if h != nil && h.Stream != 0 {
		l.streams.drop(h, b)
		return
	}
	if l.holding = false; h != nil && l.owed > 0 {
		l.owed-- // it is answered here
	}
	l.block, l.cut = b, l.request()
}

// request is how many of the client's last bytes belong to the request at hand.
func (l *line) request() int {
	p, ok := l.parser.(interface{ Tail() (int, int) })
	if !ok {
		return 0
	}
	n, _ := p.Tail()
	return n
}

// reference names an incident so that it can be read out: by what makes the finding's id unique.
func reference(id event.ID) string {
	s := base32.StdEncoding.EncodeToString(id[len(id)-5:])
	return s[:4] + "-" + s[4:]
}

// http1 is the answer in HTTP/1.1.
func (b *blocked) http1() []byte {
	kind, text := b.render()
	head := fmt.Sprintf("HTTP/1.1 403 Forbidden\r\nContent-Type: %s\r\nContent-Length: %d\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nVitrine-Reference: %s\r\nConnection: close\r\n\r\n",
		kind, len(text), b.page.Reference)
	if b.request != nil && b.request.Method == "HEAD" {
		return []byte(head)
	}
	return append([]byte(head), text...)
}

func (b *blocked) render() (kind string, text []byte) {
	accept, language := "", ""
	if b.request != nil && b.request.Request != nil {
		accept, language = content.List(b.request.Request.Headers, "accept"), content.List(b.request.Request.Headers, "accept-language")
	}
	return b.page.Render(accept, language)
}
