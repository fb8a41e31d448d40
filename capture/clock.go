package capture

import (
	"math"
	"math/bits"
	"time"
)

// clock turns the timestamps of one pcapng interface into times.
type clock struct {
	unit   uint64 // in a second
	offset int64  // seconds
}

// clockReading is a time in nanoseconds since the epoch.
type clockReading int64

func (r clockReading) time() time.Time { return time.Unix(0, int64(r)).UTC() }

// resolution reads if_tsresol (draft-ietf-opsawg-pcapng §4.2): a negative power of ten, or of two where the highest bit
// is set. What does not fit into 64 bits is finer than any timestamp could tell: it is taken as the finest that does.
func resolution(b byte) uint64 {
	if b&0x80 != 0 {
		return 1 << min(b&0x7f, 63)
	}
	unit := uint64(1)
	for range min(b, 19) {
		unit *= 10
	}
	return unit
}

// read returns the time of a timestamp, cut to what 64 bits of nanoseconds since 1970 hold: a hostile file could tell
// any time otherwise, and no packet was captured in the year 10000.
func (c *clock) read(stamp uint64) clockReading {
	sec, frac := stamp/c.unit, stamp%c.unit
	// frac < unit, so the quotient fits.
	hi, lo := bits.Mul64(frac, 1e9)
	ns, _ := bits.Div64(hi, lo, c.unit)
	const last = math.MaxInt64/1_000_000_000 - 1
	sec = min(sec, last)
	offset := min(max(c.offset, -last), last)
	total := int64(sec) + offset
	return clockReading(min(max(total, 0), last)*1e9 + int64(ns))
}
