package probe

import (
	"maps"
	"slices"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
)

const (
	// maxConns bounds the connections that are followed at once. Of more than that, those that were silent for the longest end.
	maxConns = 65536
	// maxHeldTotal bounds the plaintext that waits for addresses, of all connections together.
	maxHeldTotal = 32 << 20
)

// conns turns records into Streams. It is not for concurrent use.
type conns struct {
	seed     flow.Seed
	sink     source.Sink
	programs *programs
	mute     func(handle uint64)
	ignore   func(flow.Tuple) bool
	stats    *stats

	byHandle map[uint64]*conn
	byPID    map[int]map[uint64]*conn
	waiting  map[uint64]*conn // for their addresses
	hungUp   map[uint64]*conn
	held     int           // bytes that wait for addresses
	rules    int           // the filter that all of them were asked about
	offset   time.Duration // from the clock of records to the wall clock
}

func newConns(p *Probe, k *kernel, sink source.Sink) *conns {
	c := &conns{
		seed: p.cfg.Seed, sink: sink, programs: p.programs, ignore: p.cfg.Ignore, stats: &p.stats,
		mute:     func(handle uint64) { _ = k.mute(handle) }, // else its records come, and are passed over here
		byHandle: map[uint64]*conn{}, byPID: map[int]map[uint64]*conn{}, waiting: map[uint64]*conn{}, hungUp: map[uint64]*conn{},
	}
	c.setClock()
	return c
}

// setClock follows the wall clock, which may be set.
func (cs *conns) setClock() {
	cs.offset = time.Duration(time.Now().UnixNano() - int64(monotonic()))
}

func (cs *conns) wall(t uint64) time.Time { return time.Unix(0, int64(t)+int64(cs.offset)) }

// record takes what is told of a connection.
func (cs *conns) record(r *record) {
	at := cs.wall(r.time)
	c := cs.byHandle[r.handle]
	switch r.kind {
	case kindTie:
		if c == nil {
			c = cs.begin(r, at)
		}
		t := decodeTie(r.data)
		cs.tie(c, &t)
	case kindData, kindGap:
		cs.data(c, r, at)
	case kindFree:
		if c != nil {
			cs.tie(c, &tie{fd: -1})
			c.take(r, at)
			cs.end(c, at)
		}
	case kindHangup:
		if c != nil {
			c.take(r, at)
			c.hungUp = time.Now()
			cs.hungUp[c.handle] = c
		}
	case kindExit:
		for _, c := range cs.byPID[r.pid] {
			cs.end(c, at)
		}
	}
}

// data takes bytes, or the lack of them.
func (cs *conns) data(c *conn, r *record, at time.Time) {
	if c == nil {
		if r.position != ([2]uint64{}) { // of a connection that has ended, or whose beginning was lost: then its addresses will come
			cs.stats.lost.Add(uint64(r.length))
			return
		}
		c = cs.begin(r, at)
		cs.waiting[c.handle] = c
	}
	switch {
	case c.tied:
		c.take(r, at)
	case cs.held < maxHeldTotal:
		cs.held += c.hold(r, at)
	}
}

func (cs *conns) begin(r *record, at time.Time) *conn {
	if len(cs.byHandle) >= maxConns {
		cs.dropOldest(at)
	}
	c := &conn{handle: r.handle, process: cs.programs.of(r.pid), since: at, last: at}
	cs.byHandle[c.handle] = c
	if cs.byPID[r.pid] == nil {
		cs.byPID[r.pid] = map[uint64]*conn{}
	}
	cs.byPID[r.pid][c.handle] = c
	cs.stats.conns.Add(1)
	return c
}

// tie gives a connection its addresses, and hands on what has waited for them.
func (cs *conns) tie(c *conn, t *tie) {
	if c.tied {
		return
	}
	c.tied = true
	delete(cs.waiting, c.handle)
	cs.programs.name(c.process, t)
	tuple, client, known := cs.programs.tuple(c.process, t)
	c.client = client
	if !known {
		cs.stats.untied.Add(1)
	}
	c.flow = flow.NewConn(cs.seed^flow.Seed(c.handle), tuple, c.since)
	c.flow.Process, c.flow.Container = c.process.facts, c.process.container
	c.flow.Local = flow.ServerSide
	if client {
		c.flow.Local = flow.ClientSide
	}
	c.flow.TLS = &flow.TLS{}
	c.flow.Decryption = flow.Decryption{State: flow.DecryptedYes, Source: flow.FromProbe}
	if cs.ignore(tuple) || !cs.programs.wants(c) {
		cs.mute(c.handle)
	} else {
		c.stream = cs.sink.Open(c.flow)
	}
	for i := range c.held {
		c.take(&c.held[i].record, c.held[i].at)
	}
	cs.held -= c.heldBytes
	c.held, c.heldBytes = nil, 0
}

// tick does what time asks for.
func (cs *conns) tick(now time.Time) {
	cs.setClock()
	for _, c := range cs.waiting {
		if now.Sub(c.since) >= untiedTime {
			cs.tie(c, &tie{fd: -1})
		}
	}
	for _, c := range cs.hungUp {
		if now.Sub(c.hungUp) >= hangupTime {
			cs.end(c, c.last)
		}
	}
	if rules := cs.programs.generation(); rules != cs.rules {
		cs.rules = rules
		cs.refilter()
	}
}

// refilter leaves out what a new filter does not want. What was left out before stays so: its beginning was not seen.
func (cs *conns) refilter() {
	for _, c := range cs.byHandle {
		if c.stream != nil && !cs.programs.wants(c) {
			c.close(c.last)
			cs.mute(c.handle)
		}
	}
}

func (cs *conns) end(c *conn, at time.Time) {
	if !c.tied {
		cs.tie(c, &tie{fd: -1})
	}
	cs.stats.plaintext.Add(c.plaintext)
	cs.stats.lost.Add(c.lost)
	c.close(at)
	delete(cs.byHandle, c.handle)
	delete(cs.waiting, c.handle)
	delete(cs.hungUp, c.handle)
	pid := c.process.pid
	if delete(cs.byPID[pid], c.handle); len(cs.byPID[pid]) == 0 {
		delete(cs.byPID, pid)
	}
}

// dropOldest ends those that were silent for the longest, many at once: to find them takes a look at all.
func (cs *conns) dropOldest(at time.Time) {
	oldest := slices.SortedFunc(maps.Values(cs.byHandle), func(a, b *conn) int { return a.last.Compare(b.last) })
	for _, c := range oldest[:maxConns/16] {
		cs.stats.dropped.Add(1)
		cs.end(c, at)
	}
}

// close ends all connections.
func (cs *conns) close() {
	for _, c := range cs.byHandle {
		cs.end(c, c.last)
	}
}
