package dns

import (
	"container/list"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// UDP is DNS in datagrams.
var UDP = parse.Protocol{
	Name: "dns", Proto: flow.UDP,
	Probe: func(_ flow.Direction, b []byte) parse.Match { return probeMessage(b, len(b) >= parse.MaxProbe) },
	New:   func(out parse.Output) parse.Parser { return &udpParser{newPairing(out)} },
}

// TCP is DNS in a stream.
var TCP = parse.Protocol{
	Name: "dns", Proto: flow.TCP,
	Probe: func(_ flow.Direction, b []byte) parse.Match { return probeStream(b) },
	New:   func(out parse.Output) parse.Parser { return &tcpParser{pairing: newPairing(out)} },
}

type udpParser struct{ *pairing }

func (p *udpParser) Parse(dir flow.Direction, b []byte) (int, error) {
	p.message(dir, b)
	return len(b), nil
}

// Gap has nothing to do: datagrams don't depend on one another.
func (p *udpParser) Gap(flow.Direction, int) error { return nil }

// pairing joins queries and answers of one connection.
type pairing struct {
	out     parse.Output
	tx      uint64
	queries map[key]*list.Element
	latest  map[uint16]*list.Element // by id alone, for answers that don't repeat the question
	order   *list.List               // of *query, oldest first
	text    []byte                   // scratch
}

// key is what an answer repeats of its query.
type key struct {
	name string
	dir  flow.Direction // of the query
	id   uint16
	typ  uint16
}

// queryCost is what a query costs beyond its name, or a record beyond its text.
const queryCost = 64

type query struct {
	key
	seen  time.Time
	body  *event.DNS
	taken int // of Output.Memory
}

func newPairing(out parse.Output) *pairing {
	return &pairing{out: out, queries: map[key]*list.Element{}, latest: map[uint16]*list.Element{}, order: list.New()}
}

// message takes one whole message. It returns false if nothing could be made of it.
func (p *pairing) message(dir flow.Direction, b []byte) bool {
	m := message{room: p.out.Limits.Header, text: p.text[:0]}
	ok := m.read(b)
	p.text = m.text
	for _, code := range m.odd {
		p.out.Anomaly(code)
	}
	switch {
	case !ok:
		return false
	case m.answer():
		p.answered(dir, &m)
	default:
		p.asked(dir, &m)
	}
	return true
}

// asked opens a query. One that is asked again before it was answered is given up for the new one.
func (p *pairing) asked(dir flow.Direction, m *message) {
	q := p.newQuery(dir, m)
	m.fill(q.body)
	if old := p.queries[q.key]; old != nil {
		p.out.Emit(p.forget(old).body)
	}
	for p.order.Len() > 0 && (p.order.Len() >= max(p.out.Limits.Open, 1) || !p.take(q)) {
		p.out.Emit(p.forget(p.order.Front()).body)
	}
	e := p.order.PushBack(q)
	p.queries[q.key] = e
	p.latest[q.id] = e
}

// take takes memory for a query that has others before it: that of a single one is bounded well enough.
func (p *pairing) take(q *query) bool {
	if q.taken > 0 {
		return true
	}
	size := len(q.name) + queryCost
	for _, records := range [...][]string{q.body.Answers, q.body.Authority} { // of an update, or by multicast
		for _, r := range records {
			size += len(r) + queryCost
		}
	}
	if p.out.Memory.Take(size) {
		q.taken = size
	}
	return q.taken > 0
}

func (p *pairing) answered(dir flow.Direction, m *message) {
	var q *query
	if e := p.find(dir, m); e != nil {
		q = p.forget(e)
		q.body.DurationUS = max(p.out.Seen().Sub(q.seen).Microseconds(), 0)
	} else {
		q = p.newQuery(dir, m)
	}
	q.body.Code = m.code()
	m.fill(q.body)
	p.out.Emit(q.body)
}

func (p *pairing) newQuery(dir flow.Direction, m *message) *query {
	body := &event.DNS{Tx: p.tx, ID: m.id, Opcode: m.opcode(), Name: m.name}
	if m.questions > 0 {
		body.Type = typeName(m.typ)
	}
	p.tx++
	return &query{key: key{name: m.name, dir: dir, id: m.id, typ: m.typ}, seen: p.out.Seen(), body: body}
}

// find returns the open query that m answers, or nil.
func (p *pairing) find(dir flow.Direction, m *message) *list.Element {
	if m.questions > 0 {
		return p.queries[key{name: m.name, dir: dir.Reverse(), id: m.id, typ: m.typ}]
	}
	if e := p.latest[m.id]; e != nil && e.Value.(*query).dir == dir.Reverse() {
		return e
	}
	return nil
}

// forget takes an open query out of the table.
func (p *pairing) forget(e *list.Element) *query {
	q := p.order.Remove(e).(*query)
	p.out.Memory.Give(q.taken)
	delete(p.queries, q.key)
	if p.latest[q.id] == e {
		delete(p.latest, q.id)
	}
	return q
}

// End emits the queries that nobody answered.
func (p *pairing) End() {
	for e := p.order.Front(); e != nil; e = p.order.Front() {
		p.out.Emit(p.forget(e).body)
	}
}
