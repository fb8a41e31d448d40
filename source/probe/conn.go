package probe

import (
	"slices"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
)

const (
	// untiedTime is how long plaintext waits to learn its addresses. A program that moves its ciphertext itself shows them only when
	// it reads: a request waits for its response.
	untiedTime = 10 * time.Second
	// hangupTime is how long a program may still read what it has of a connection whose socket was closed.
	hangupTime = 2 * time.Second
	// maxHeld bounds the plaintext of one connection that waits for its addresses.
	maxHeld = 1 << 20
)

// conn is one TLS handle of a process. It belongs to the goroutine that reads records.
type conn struct {
	handle  uint64
	process *program
	since   time.Time // of the first record
	tied    bool
	client  bool
	flow    *flow.Conn
	stream  source.Stream // nil until it is opened, or if it is left out

	next      [2]uint64 // position of the next byte, by way
	plaintext uint64
	lost      uint64
	last      time.Time
	hungUp    time.Time // zero until then

	held      []heldRecord // what came before the addresses
	heldBytes int
}

type heldRecord struct {
	record
	at time.Time
}

// hold keeps a record until the connection is opened, and returns the memory that this takes. What is not kept shows as a gap, by the
// position of what comes next.
func (c *conn) hold(r *record, at time.Time) int {
	size := headSize + len(r.data)
	if c.heldBytes+size > maxHeld {
		return 0
	}
	c.heldBytes += size
	kept := heldRecord{*r, at}
	kept.data = slices.Clone(r.data)
	c.held = append(c.held, kept)
	return size
}

// direction turns the process's view into that of the connection.
func (c *conn) direction(w way) flow.Direction {
	if (w == out) == c.client {
		return flow.ToServer
	}
	return flow.ToClient
}

// take hands on what a record brings.
func (c *conn) take(r *record, at time.Time) {
	c.last = at
	if c.stream == nil {
		return
	}
	other := r.way ^ 1
	c.missing(other, r.position[other], at)
	c.missing(r.way, r.position[r.way], at)
	switch r.kind {
	case kindGap:
		c.missing(r.way, c.next[r.way]+uint64(r.length), at)
	case kindData:
		c.next[r.way] += uint64(len(r.data))
		c.plaintext += uint64(len(r.data))
		c.process.plaintext.Add(uint64(len(r.data)))
		c.stream.Data(c.direction(r.way), at, r.data)
	}
}

// missing tells of bytes before a position that never came.
func (c *conn) missing(w way, position uint64, at time.Time) {
	if position <= c.next[w] {
		return
	}
	n := position - c.next[w]
	c.next[w] = position
	c.lost += n
	c.stream.Gap(c.direction(w), at, int(n))
}

// close ends the connection. Its facts are final then.
func (c *conn) close(at time.Time) {
	if c.stream == nil {
		return
	}
	c.flow.TLS = &flow.TLS{PlaintextBytes: c.plaintext, LostBytes: c.lost}
	if c.lost > 0 {
		c.flow.Decryption = flow.Decryption{State: flow.DecryptedPartial, Source: flow.FromProbe, Reason: flow.GapInRecords}
	}
	c.stream.Close(at)
	c.stream = nil
}
