package decrypt

import (
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
)

// missed is what lies between the last record of a direction that was opened and the next: it bounds the numbers that the
// next record can have.
type missed struct {
	at     time.Time
	wire   int // bytes
	lo, hi int // records: at least, at most
	vague  bool
	data   bool // application data may be in it
}

// flightRecords is how many records of a TLS 1.3 handshake may precede the first one under a later key.
const flightRecords = 32

// any reports whether there may be a record in it.
func (m *missed) any() bool { return m.hi > 0 }

// mark notes when the first of it was missed.
func (m *missed) mark(at time.Time) {
	if !m.any() {
		m.at = at
	}
}

// add counts what a splitter missed; minRecord is the length of the shortest protected record.
func (m *missed) add(h hole, minRecord int) {
	if h.wire == 0 {
		return
	}
	m.mark(h.at)
	m.wire += h.wire
	m.lo += h.records
	m.hi += h.records
	m.vague = m.vague || h.vague
	m.data = true
	if h.unknown > 0 {
		m.lo += h.unknown / handshake.MaxRecord
		m.hi += h.unknown/minRecord + 1
	}
}

// drop counts a record that was seen and not opened.
func (m *missed) drop(at time.Time, record []byte, data bool) {
	m.mark(at)
	m.data = m.data || data
	m.wire += len(record)
	m.lo++
	m.hi++
}

// content returns how many bytes of plaintext were in what was missed if that was exactly n records, or 0 if nobody knows.
func (m *missed) content(n int, overhead int) int {
	if m.vague {
		return 0
	}
	return max(0, m.wire-n*overhead)
}

// debt is plaintext that is known to be lost and that the Output has not been told of yet. It is told once, before the next
// plaintext, however many records were lost.
type debt struct {
	at    time.Time
	n     int
	vague bool
	owed  bool
}

// add owes n bytes more; 0 stands for an unknown number, and makes the sum unknown.
func (d *debt) add(at time.Time, n int) {
	if !d.owed {
		d.at = at
	}
	d.owed = true
	d.n += n
	d.vague = d.vague || n == 0
}
