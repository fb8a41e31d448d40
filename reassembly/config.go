package reassembly

import (
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

// Config bounds an Assembler.
type Config struct {
	Seed flow.Seed
	// ConnBytes is how much out-of-order payload one connection may hold before its hole is called a gap.
	ConnBytes int
	// TotalBytes is the same for all connections together.
	TotalBytes int
	// Conns is how many conversations are followed at once; the one silent for longest gives way.
	Conns int
	// Reorder is how long, in capture time, a segment waits for bytes that the peer has acknowledged: they were sent, so
	// either the capture lost them or they come late.
	Reorder time.Duration
	// These are how long a silent conversation stays known: a TCP connection (whose TLS session can't be picked up again once it is
	// forgotten), one that never carried a byte, one after a reset, an exchange of datagrams, and a connection that is over.
	TCPIdle, TCPOpening, TCPReset, UDPIdle, Linger time.Duration
}

// DefaultConfig is right for a sensor of 1 GB.
func DefaultConfig() Config {
	return Config{
		ConnBytes: 1 << 20, TotalBytes: 256 << 20, Conns: 500_000,
		Reorder: time.Second, TCPIdle: 2 * time.Hour, TCPOpening: time.Minute, TCPReset: time.Second,
		UDPIdle: 30 * time.Second, Linger: 10 * time.Second,
	}
}

const (
	// maxHeld is how many segments one direction holds: tiny ones must not make insertion slow.
	maxHeld = 4096
	// reorderPackets is how many packets of a connection may pass before acknowledged bytes are given up.
	reorderPackets = 512
	// maxCausal is how far an acknowledgement may be ahead of the bytes seen and still be waited for: beyond it, it is made up.
	maxCausal = 4 << 20
	// resetWindow is how far a reset may be ahead of the bytes seen: the capture may have lost some. Hosts obey one that is exact
	// (RFC 9293 §3.10.7.4), so even one inside ends nothing by itself: see Config.TCPReset.
	resetWindow = 1 << 20
)

// Stats count what happened. In = the sum of all others that count packets.
type Stats struct {
	Packets    uint64             // given to the Assembler
	Segments   uint64             // of TCP and UDP, among them
	Dropped    [int(drops)]uint64 // not a segment, by reason
	Conns      uint64             // opened
	Open       int                // now
	Evicted    uint64             // closed to make room
	GapBytes   uint64             // never seen
	Duplicates uint64             // TCP segments that brought nothing new
	Repeated   uint64             // datagrams that another interface had shown already
	Conflicts  uint64             // retransmissions that contradict what was seen first
	OutOfOrder uint64             // TCP segments that had to wait
	HeldBytes  int                // waiting now
	OverMemory uint64             // holes given up because of ConnBytes or TotalBytes
}

// DroppedBy calls f for each reason why packets were no segments.
func (s *Stats) DroppedBy(f func(reason string, n uint64)) {
	for d := dropLink; d < drops; d++ {
		f(d.String(), s.Dropped[d])
	}
}
