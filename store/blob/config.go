package blob

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

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
	MinFree      int64         // bytes of the disk that packets leave free; a sixteenth of the disk, 12 GiB at the most, if 0
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

// Defaults of MinFree. They are a little more than the event store leaves free, so that packets go before events do.
const (
	minFreeShare = 16
	minFreeMost  = 12 << 30
)

// shortage returns how many bytes the disk lacks to leave as many free as it must. Negative is room.
func (c Config) shortage() (int64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(c.Dir, &disk); err != nil {
		return 0, fmt.Errorf("read free disk space: %w", err)
	}
	block := int64(disk.Bsize)
	least := c.MinFree
	if least <= 0 {
		least = min(int64(disk.Blocks)*block/minFreeShare, minFreeMost)
	}
	return least - int64(disk.Bavail)*block, nil
}

// openFor returns how long a segment may be written.
func (c Config) openFor() time.Duration {
	if c.MaxAge > 0 {
		return min(maxOpen, c.MaxAge/4)
	}
	return maxOpen
}
