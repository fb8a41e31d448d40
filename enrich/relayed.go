package enrich

import (
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
)

// Relayed remembers the connections that this machine's gateway holds with clients and servers. A sensor on the same machine sees
// them too, twice and undecrypted, where the gateway tells the one that they are.
type Relayed struct {
	mu       sync.Mutex
	now, old map[pair]bool
}

// relayedConns is how many connections are remembered at least, of the newest.
const relayedConns = 1 << 16

// NewRelayed returns one that remembers nothing.
func NewRelayed() *Relayed { return &Relayed{now: map[pair]bool{}} }

// Add remembers a connection.
func (r *Relayed) Add(t flow.Tuple) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.now) >= relayedConns {
		r.now, r.old = map[pair]bool{}, r.now
	}
	r.now[pairOf(t)] = true
}

func (r *Relayed) has(t flow.Tuple) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := pairOf(t)
	return r.now[p] || r.old[p]
}

// Sensor returns the Sink of a sensor that leaves to the gateway what that tells better: of connections that the sensor could not decrypt
// either, only what was said in clear goes on to next.
func (r *Relayed) Sensor(next source.Sink) source.Sink { return &relayedSink{r, next} }

type relayedSink struct {
	relayed *Relayed
	next    source.Sink
}

// Open implements source.Sink.
func (s *relayedSink) Open(c *flow.Conn) source.Stream {
	return &relayedStream{s.next.Open(c), s.relayed, c, false}
}

type relayedStream struct {
	source.Stream
	relayed *Relayed
	conn    *flow.Conn
	is      bool // relayed: noticed while it is among the newest
}

// Data implements source.Stream.
func (s *relayedStream) Data(dir flow.Direction, at time.Time, b []byte) flow.Verdict {
	s.is = s.is || s.relayed.has(s.conn.Tuple)
	return s.Stream.Data(dir, at, b)
}

// Close implements source.Stream.
func (s *relayedStream) Close(at time.Time) {
	s.is = s.is || s.relayed.has(s.conn.Tuple)
	if state := s.conn.Decryption.State; s.is && state != flow.DecryptedYes && state != flow.DecryptedPartial {
		s.conn.Told = true
	}
	s.Stream.Close(at)
}
