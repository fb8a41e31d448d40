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
	hole      hole
}

// buffers lends room for records that arrive in pieces.
type buffers struct{ free [][]byte }

const maxFreeBuffers = 64

func (p *buffers) get() []byte {
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	return make([]byte, 0, handshake.MaxRecord)
}

func (p *buffers) put(b []byte) {
	if len(p.free) < maxFreeBuffers {
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
		sp.buf = pool.get()
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
			if !sp.gapped {
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

func (sp *splitter) lose(n int) {
	sp.hole.wire += n
	sp.hole.unknown += n
}

// search drops bytes up to the next header that looks like one and returns how many of b it took. A header that spans two
// calls is put together in buf.
func (sp *splitter) search(b []byte, pool *buffers) (n int) {
	for n < len(b) && len(sp.buf) > 0 {
		if len(sp.buf) < handshake.HeaderLen {
			sp.buf = append(sp.buf, b[n])
			n++
		}
		if len(sp.buf) == handshake.HeaderLen {
			if plausible(sp.buf) {
				sp.searching = false
				return n
			}
			sp.buf = append(sp.buf[:0], sp.buf[1:]...)
			sp.lose(1)
		}
	}
	if n == len(b) {
		return n
	}
	sp.release(pool)
	for i := n; i+handshake.HeaderLen <= len(b); i++ {
		if plausible(b[i:]) {
			sp.lose(i - n)
			sp.searching = false
			return i
		}
	}
	tail := max(n, len(b)-(handshake.HeaderLen-1))
	sp.lose(tail - n)
	sp.buf = append(pool.get(), b[tail:]...)
	return len(b)
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

// finish ends the direction: a record that is not whole is lost.
func (sp *splitter) finish(at time.Time, pool *buffers) {
	if sp.buf != nil && sp.hole.wire == 0 {
		sp.hole.at = at
	}
	if n := len(sp.buf); n >= handshake.HeaderLen && !sp.searching {
		sp.hole.records++
		sp.hole.wire += n
	}
	sp.release(pool)
}
