// Package enrich joins what several vantage points of one machine know of the same thing. Streams of the probe and of the sensor go in,
// and go on to their Sinks: a connection that both see is told once, with the process and the plaintext from the probe and the facts
// of the handshake and the packets from the sensor. It knows nothing of protocols or events.
package enrich

import (
	"context"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

const (
	// patience is how long the end of a connection that the probe saw waits for the sensor, whose packets come later.
	patience = 1500 * time.Millisecond
	// memory is how long a connection is remembered after its end: the sensor tells of it when nothing more can come.
	memory = 30 * time.Second
	// forgetTime is how often those that ended long ago are looked for.
	forgetTime = 5 * time.Second
	// maxConns bounds the connections that are remembered: 8,000 a second that only one side sees.
	maxConns = 1 << 18
)

// Join brings the probe's and the sensor's view of a connection together by its addresses.
type Join struct {
	mu    sync.Mutex
	conns map[pair]*shared
	ends  []ending // in the order of time
}

// pair is the addresses of a connection whichever of them is the client's: the probe and the sensor may take it for the one or the other.
type pair struct{ low, high flow.Endpoint }

func pairOf(t flow.Tuple) pair {
	if t.Client.IP.Compare(t.Server.IP) < 0 || t.Client.IP == t.Server.IP && t.Client.Port < t.Server.Port {
		return pair{t.Client, t.Server}
	}
	return pair{t.Server, t.Client}
}

// shared is a connection that the probe has seen, or the sensor, or both.
type shared struct {
	key           pair
	probe, sensor bool // has it open, or had
	open          int  // streams of both
	process       *flow.Process
	container     *flow.Container
	own           flow.Endpoint // of the process; zero if its side is unknown
	decryption    flow.Decryption
	ended         time.Time
}

// ending is a stream of the probe whose end waits.
type ending struct {
	stream *probeStream
	at     time.Time // of the connection
	due    time.Time
}

// New returns a Join that holds nothing.
func New() *Join { return &Join{conns: map[pair]*shared{}} }

// Run ends the probe's connections once the sensor had its time, until ctx is done.
func (j *Join) Run(ctx context.Context) error {
	t, old := time.NewTicker(patience/10), time.NewTicker(forgetTime)
	defer t.Stop()
	defer old.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-t.C:
			j.end(now)
		case now := <-old.C:
			j.forget(now)
		}
	}
}

// Flush ends all connections of the probe whose end waits: when nothing more comes from the sensor.
func (j *Join) Flush() { j.end(time.Now().Add(patience)) }

// end ends the streams that are due.
func (j *Join) end(now time.Time) {
	j.mu.Lock()
	n := 0
	for n < len(j.ends) && !j.ends[n].due.After(now) {
		n++
	}
	due := j.ends[:n:n]
	j.ends = j.ends[n:]
	for _, e := range due {
		e.stream.conn.Told = e.stream.shared.sensor
	}
	j.mu.Unlock()
	for _, e := range due {
		e.stream.next.Close(e.at)
	}
}

// forget drops what has ended long ago.
func (j *Join) forget(now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for key, s := range j.conns {
		if s.open == 0 && now.Sub(s.ended) > memory {
			delete(j.conns, key)
		}
	}
}

// open returns what is shared of a connection. Valid iff mu is held.
func (j *Join) open(t flow.Tuple) *shared {
	key := pairOf(t)
	s := j.conns[key]
	if s == nil {
		s = &shared{key: key}
		if len(j.conns) < maxConns {
			j.conns[key] = s
		}
	}
	s.open++
	return s
}

// close is the end of a stream. With the last one of both sides the connection is forgotten: its addresses may serve another one. Valid
// iff mu is held.
func (j *Join) close(s *shared) {
	s.open--
	s.ended = time.Now()
	if s.open == 0 && s.probe && s.sensor && j.conns[s.key] == s {
		delete(j.conns, s.key)
	}
}

// ownEndpoint returns the address of the process, if it is known which side that is.
func ownEndpoint(c *flow.Conn) flow.Endpoint {
	switch c.Local {
	case flow.ClientSide:
		return c.Tuple.Client
	case flow.ServerSide:
		return c.Tuple.Server
	}
	return flow.Endpoint{}
}

// sideOf returns which side of a connection has an address.
func sideOf(e flow.Endpoint, t flow.Tuple) flow.Side {
	switch e {
	case t.Client:
		return flow.ClientSide
	case t.Server:
		return flow.ServerSide
	}
	return ""
}
