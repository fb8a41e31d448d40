package blob

import "time"

const (
	flushInterval = 200 * time.Millisecond
	maxSegment    = 1 << 30   // offsets are 32 bits
	maxOpen       = time.Hour // a segment is closed after this, or a quarter of MaxAge, so that it can become old
	minBytes      = 4 << 20   // what MaxBytes may be at least
)

// Config says where packets are kept and for how long. The zero value of each field but Dir is a good choice.
type Config struct {
	Dir          string
	MaxBytes     int64         // of all segments; the oldest go first; 10 GiB if 0
	MaxAge       time.Duration // since a segment was closed; 0 is no limit
	SegmentBytes int64         // 64 MiB if 0, at most a quarter of MaxBytes
	BufferBytes  int           // memory for packets that the disk has not yet taken; 16 MiB if 0
}

func (c Config) withDefaults() Config {
	if c.MaxBytes <= 0 {
		c.MaxBytes = 10 << 30
	}
	c.MaxBytes = max(c.MaxBytes, minBytes)
	if c.SegmentBytes <= 0 {
		c.SegmentBytes = 64 << 20
	}
	c.SegmentBytes = min(c.SegmentBytes, c.MaxBytes/4, maxSegment)
	if c.BufferBytes <= 0 {
		c.BufferBytes = 16 << 20
	}
	c.BufferBytes = max(c.BufferBytes, 4*maxRecord)
	return c
}

// openFor returns how long a segment may be written.
func (c Config) openFor() time.Duration {
	if c.MaxAge > 0 {
		return min(maxOpen, c.MaxAge/4)
	}
	return maxOpen
}
