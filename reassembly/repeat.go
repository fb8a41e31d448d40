package reassembly

import (
	"hash/maphash"
	"time"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
)

// sightings remembers the latest datagrams of a direction. A host that is captured on all its interfaces shows a datagram on each that
// it passes (the container's, the bridge's, the card's); TCP tells such repetitions by their sequence numbers, UDP can't.
type sightings struct {
	latest [4]struct {
		hash uint64
		at   time.Time
		link string // name of the interface
	}
	next int
}

// repeatedWithin is how long a packet takes through a host.
const repeatedWithin = 10 * time.Millisecond

var datagramSeed = maphash.MakeSeed()

// repeated reports whether the same datagram was seen on another interface just now.
func (c *conn) repeated(dir flow.Direction, s *segment, p *capture.Packet) bool {
	if p.Interface == "" {
		return false
	}
	if c.seen == nil {
		c.seen = new([2]sightings)
	}
	d, hash := &c.seen[dir], maphash.Bytes(datagramSeed, s.payload)
	for i := range d.latest {
		l := &d.latest[i]
		if l.hash == hash && l.link != p.Interface && l.link != "" && p.Time.Sub(l.at) <= repeatedWithin {
			return true
		}
	}
	l := &d.latest[d.next%len(d.latest)]
	l.hash, l.at, l.link = hash, p.Time, p.Interface
	d.next++
	return false
}
