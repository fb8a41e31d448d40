package decrypt

import (
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
)

// hole is what is missing between two records.
type hole struct {
	at      time.Time // when the first of it was missed
	wire    int       // bytes from the end of the record before to the begin of the record after
	records int       // records known to be damaged: their lengths are known
	unknown int       // bytes of wire in which nobody knows how many records were
	vague   bool      // wire is a guess
}

// splitter cuts one direction into records. A record that lies whole in what is handed over is not copied.
type splitter struct {
	buf       []byte // the beginning of a record; room is borrowed from buffers while there is one
	skip      int    // bytes of a damaged record before the next boundary
	searching bool   // no boundary is known
	gapped    bool   // bytes were missing: from now on what makes no sense starts a search
	starved   bool   // there was no room for a record
	hole      hole
}

// buffers lends room for records that arrive in pieces.
type buffers struct {
	free [][]byte
	lent int
}

const (
	maxFree = 64
	// maxLent bounds the room for unfinished records of all connections of a goroutine to some 300 MB.
	maxLent = 1 << 14
)

// get returns room for one record, or nil if all is lent.
func (p *buffers) get() []byte {
	if p.lent == maxLent {
		return nil
	}
	p.lent++
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	return make([]byte, 0, handshake.MaxRecord)
}

// put takes back what get has lent.
func (p *buffers) put(b []byte) {
	p.lent--
	if len(p.free) < maxFree {
		p.free = append(p.free, b[:0])
	}
}

// next takes n bytes from the front of b. rec is the record that they complete, or nil; it is valid until the next call and
// until b changes. The error means that b begins no record and never will.
func (sp *splitter) next(b []byte, pool *buffers) (rec []byte, n int, err error) {
	switch {
	case sp.skip > 0:
		n = min(sp.skip, len(b))
		sp.skip -= n
		return nil, n, nil
	case sp.searching:
		return nil, sp.search(b, pool), nil
	case sp.buf == nil:
		if rec := wholeRecord(b); rec != nil {
			return rec, len(rec), nil
		}
		if sp.buf = pool.get(); sp.buf == nil {
			sp.starved, sp.gapped, sp.searching = true, true, true
			sp.lose(len(b))
			return nil, len(b), nil
		}
	}
	return sp.fill(b)
}

// wholeRecord returns the record that b begins with, or nil.
func wholeRecord(b []byte) []byte {
	if len(b) < handshake.HeaderLen {
		return nil
	}
	h, err := handshake.ParseHeader(b)
	if end := handshake.HeaderLen + h.Length; err == nil && end <= len(b) {
		return b[:end]
	}
	return nil
}

// fill adds to the record in buf: first its header, then the rest.
func (sp *splitter) fill(b []byte) (rec []byte, n int, err error) {
	if missing := handshake.HeaderLen - len(sp.buf); missing > 0 {
		n = min(missing, len(b))
		sp.buf = append(sp.buf, b[:n]...)
		if n < missing {
			return nil, n, nil
		}
		if _, err := handshake.ParseHeader(sp.buf); err != nil {
			if !sp.gapped { // nothing was missing: the peers do not talk TLS
				return nil, n, err
			}
			sp.searching = true
			return nil, n, nil
		}
	}
	take := min(sp.rest(), len(b)-n)
	sp.buf = append(sp.buf, b[n:n+take]...)
	n += take
	if sp.rest() > 0 {
		return nil, n, nil
	}
	return sp.buf, n, nil
}

// rest returns how many bytes of the record in buf have not come. Valid iff its header has.
func (sp *splitter) rest() int {
	return handshake.HeaderLen + (int(sp.buf[3])<<8 | int(sp.buf[4])) - len(sp.buf)
}

// release gives the room of a finished record back.
func (sp *splitter) release(pool *buffers) {
	if sp.buf != nil {
		pool.put(sp.buf)
		sp.buf = nil
	}
}

// gap tells of n bytes that are missing at the end of what next has taken; 0 stands for an unknown number.
func (sp *splitter) gap(at time.Time, n int, pool *buffers) {
	sp.gapped = true
	if sp.hole.wire == 0 {
		sp.hole.at = at
	}
	if n <= 0 {
		n, sp.hole.vague = unknownGap, true
	}
	rest := sp.skip
	if !sp.searching && len(sp.buf) >= handshake.HeaderLen {
		rest = sp.rest()
		sp.hole.records++
		sp.hole.wire += len(sp.buf) + rest
	} else {
		n += len(sp.buf)
	}
	sp.release(pool)
	if n <= rest {
		sp.skip = rest - n
		return
	}
	sp.skip = 0
	sp.searching = true
	sp.lose(n - rest)
}

// unknownGap is taken for the length of a gap that nobody knows the length of.
const unknownGap = 256 << 10

// lose notes n bytes of wire in which the boundaries of records are not known.
func (sp *splitter) lose(n int) {
	sp.hole.wire += n
	sp.hole.unknown += n
}

// search drops bytes up to the next header that looks like one and returns how many of b it took.
func (sp *splitter) search(b []byte, pool *buffers) int {
	if len(sp.buf) > 0 {
		if n, done := sp.searchSeam(b); done {
			return n
		}
	}
	sp.release(pool)
	for i := 0; i+handshake.HeaderLen <= len(b); i++ {
		if plausible(b[i:]) {
			sp.lose(i)
			sp.searching = false
			return i
		}
	}
	tail := max(0, len(b)-(handshake.HeaderLen-1))
	if sp.buf = pool.get(); sp.buf == nil {
		tail = len(b)
	} else {
		sp.buf = append(sp.buf, b[tail:]...)
	}
	sp.lose(tail)
	return len(b)
}

// searchSeam looks for a header that begins in buf and ends in b. It is done if there is one, or if b is too short to tell;
// else buf holds nothing of interest and b has yet to be searched.
func (sp *splitter) searchSeam(b []byte) (n int, done bool) {
	kept := len(sp.buf)
	sp.buf = append(sp.buf, b[:min(len(b), handshake.HeaderLen-1)]...)
	for start := range kept {
		found := len(sp.buf)-start >= handshake.HeaderLen
		if found && !plausible(sp.buf[start:]) {
			continue
		}
		end := min(start+handshake.HeaderLen, len(sp.buf))
		sp.lose(start)
		sp.buf = append(sp.buf[:0], sp.buf[start:end]...)
		sp.searching = !found
		return end - kept, true
	}
	sp.lose(kept)
	return 0, false
}

// plausible reports whether b looks like the header of a protected record, and like another one where it ends if that is
// there to be seen. In random bytes a header alone occurs once in 2^24.
func plausible(b []byte) bool {
	h, err := handshake.ParseHeader(b)
	if err != nil || h.Version != handshake.TLS12 || h.Length == 0 {
		return false
	}
	next := handshake.HeaderLen + h.Length
	if next+handshake.HeaderLen > len(b) {
		return true
	}
	_, err = handshake.ParseHeader(b[next:])
	return err == nil
}

// finish ends the direction: a record that is not whole is lost, even one of which no more than the type is known. It returns that type.
func (sp *splitter) finish(at time.Time, pool *buffers) (typ handshake.ContentType, cut bool) {
	if len(sp.buf) > 0 && !sp.searching {
		typ, cut = handshake.ContentType(sp.buf[0]), true
		if sp.hole.wire == 0 {
			sp.hole.at = at
		}
		sp.hole.records++
		sp.hole.wire += len(sp.buf)
	}
	sp.release(pool)
	return typ, cut
}
