package http2

import (
	"container/list"
	"encoding/binary"
	"strings"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// preface is what a client sends first (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Codes of anomalies.
const (
	badPreface        = "http2_bad_preface"
	badFrame          = "http2_bad_frame"           // its length or stream does not fit its type
	frameTooLarge     = "http2_frame_too_large"     // than was allowed by SETTINGS, or than Limits.Header for one that is no DATA
	badPadding        = "http2_bad_padding"         // longer than the frame
	badHPACK          = "http2_bad_hpack"           // the header block cannot be decoded
	hpackLost         = "http2_hpack_lost"          // field lines refer to what a gap has swallowed
	tableTooLarge     = "http2_table_too_large"     // the header table is larger than was allowed by SETTINGS
	headersTooLarge   = "http2_headers_too_large"   // field lines decode to more than Limits.Header
	interruptedBlock  = "http2_interrupted_headers" // something other than its CONTINUATION follows a header block
	continuationFlood = "http2_continuation_flood"  // a header block has more than maxPieces pieces
	badPseudoHeader   = "http2_bad_pseudo_header"   // unknown, repeated, empty, after others, or in trailers
	missingPseudo     = "http2_missing_pseudo_header"
	badHeader         = "http2_bad_header"         // upper case, or characters that a field line must not have
	connectionHeader  = "http2_connection_header"  // one that only HTTP/1.1 has
	authorityMismatch = "http2_authority_mismatch" // host differs from :authority
	badStream         = "http2_bad_stream"         // a stream that this side must not open, or that is not open
	afterEnd          = "http2_frame_after_end"    // of the stream, in that direction
	tooManyStreams    = "http2_too_many_streams"   // more are open than Limits allow: the oldest was given up
	lengthMismatch    = "http2_length_mismatch"    // a request's body is longer or shorter than its content-length
	rapidReset        = "http2_rapid_reset"        // the client resets streams as fast as it opens them (CVE-2023-44487)
)

// Protocol is HTTP/2.
var Protocol = parse.Protocol{Name: "http2", Proto: flow.TCP, Probe: probe, New: newParser, Requests: true}

// probe knows the client by its preface and the server by the SETTINGS frame that it begins with.
func probe(dir flow.Direction, b []byte) parse.Match {
	if dir == flow.ToClient {
		return probeServer(b)
	}
	n := min(len(b), len(preface))
	switch {
	case string(b[:n]) != preface[:n]:
		return parse.No
	case n < len(preface):
		return parse.Maybe
	}
	return parse.Yes
}

// probeServer wants a SETTINGS frame that says something; else the header of another frame must follow.
func probeServer(b []byte) parse.Match {
	const mostSettings, mostID = 32, 16
	begin := [headerSize]byte{3: typeSettings}
	for i, c := range b[:min(len(b), headerSize)] {
		if c != begin[i] && i != 1 && i != 2 {
			return parse.No
		}
	}
	if len(b) < headerSize {
		return parse.Maybe
	}
	f := frameOf(b)
	if f.length%6 != 0 || f.length > 6*mostSettings {
		return parse.No
	}
	rest, ok := b[headerSize:], false
	if f.length > 0 {
		if len(rest) < 2 {
			return parse.Maybe
		}
		id := binary.BigEndian.Uint16(rest)
		ok = 0 < id && id <= mostID
	} else {
		if len(rest) < headerSize {
			return parse.Maybe
		}
		ok = plausible(rest, defaultFrame, 0)
	}
	if ok {
		return parse.Yes
	}
	return parse.No
}

// parser follows one connection.
type parser struct {
	out  *parse.Output
	half [2]half
	tx   uint64

	streams map[uint32]*stream
	order   *list.List // of *stream, oldest first
	held    int        // size of the header fields of all of them
	last    [2]uint32  // highest stream that each side has opened
	closed  [64]uint32 // those closed lately, as a ring
	closing int

	lingering  []*stream // that were reset, the earliest first
	resets     int       // by the client, before an answer, since resetsFrom
	resetsFrom time.Time
}

// half is one direction.
type half struct {
	preface bool // it is still to come
	lost    bool // where frames begin is not known
	gapped  bool // something was missed at some time
	missing int  // bytes that the frame on offer still lacks, 0 if its length is not known

	frame   frame // the one whose payload is being consumed
	left    int   // bytes of it that are still to come
	padding int   // of those, at its end
	longest int   // longest frame that was ever allowed

	table     decoder
	allowed   int  // largest table that was ever allowed
	hpackLost bool // it was told
	block     block
}

func newParser(out parse.Output) parse.Parser {
	p := &parser{out: &out, streams: map[uint32]*stream{}, order: list.New()}
	for dir := range p.half {
		p.half[dir] = half{longest: defaultFrame, table: newDecoder(), allowed: defaultTableSize}
	}
	p.half[flow.ToServer].preface = true
	if up := out.Upgrade; up != nil && upgraded(up) {
		p.upgraded(up)
	}
	return p
}

// upgraded reports whether HTTP/1.1 has become HTTP/2 by "Upgrade: h2c" (RFC 7540, section 3.2).
func upgraded(up *parse.Upgrade) bool {
	for _, line := range up.Response {
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "upgrade") && strings.EqualFold(strings.TrimSpace(value), "h2c") {
			return true
		}
	}
	return false
}

func (p *parser) Parse(dir flow.Direction, b []byte) (int, error) {
	n := 0
	for {
		k, ok := p.step(dir, b[n:])
		n += k
		if !ok {
			return n, nil
		}
	}
}

// step consumes the next piece of b. It is false if more must come first.
func (p *parser) step(dir flow.Direction, b []byte) (int, bool) {
	h := &p.half[dir]
	h.missing = 0
	switch {
	case len(b) == 0:
		return 0, false
	case h.left > 0:
		return p.payload(dir, h, b), true
	case h.preface:
		return p.takePreface(h, b)
	case h.lost:
		return p.resync(h, b)
	case len(b) < headerSize:
		return 0, false
	}
	f := frameOf(b)
	size := headerSize + f.length
	switch whole := f.known() && f.length <= p.room(); {
	case f.typ == typeData:
		return p.beginData(dir, h, f, b)
	case whole && len(b) < size:
		h.frame, h.missing = f, size-len(b)
		return 0, false
	case whole:
		p.checkLength(dir, h, f)
		p.control(dir, h, f, b[headerSize:size])
		return size, true
	}
	p.checkLength(dir, h, f)
	p.missed(h, f)
	h.skip(f, f.length)
	return headerSize, true
}

// checkLength tells of a frame that is longer than it may be.
func (p *parser) checkLength(dir flow.Direction, h *half, f frame) {
	if f.length > h.longest && !p.half[dir.Reverse()].gapped || f.typ != typeData && f.known() && f.length > p.room() {
		p.out.Anomaly(frameTooLarge)
	}
}

// room is how long a frame may be that is read whole.
func (p *parser) room() int { return p.out.Limits.Header - headerSize }

func (p *parser) takePreface(h *half, b []byte) (int, bool) {
	n := min(len(b), len(preface))
	switch {
	case string(b[:n]) != preface[:n]:
		p.out.Anomaly(badPreface)
		h.preface, h.lost = false, true
		return 0, true
	case n < len(preface):
		return 0, false
	}
	h.preface = false
	return n, true
}

// skip has the next n bytes of a frame thrown away.
func (h *half) skip(f frame, n int) { h.frame, h.left, h.padding = f, n, n }

// beginData takes the header of a DATA frame, and the length of its padding.
func (p *parser) beginData(dir flow.Direction, h *half, f frame, b []byte) (int, bool) {
	if !f.valid() {
		p.checkLength(dir, h, f)
		p.out.Anomaly(badFrame)
		h.skip(f, f.length)
		return headerSize, true
	}
	n, left, padding := headerSize, f.length, 0
	if f.has(flagPadded) {
		if len(b) <= headerSize && f.length > 0 {
			return 0, false
		}
		if f.length > 0 {
			n, left, padding = n+1, left-1, int(b[headerSize])
		}
		if padding > left || f.length == 0 {
			p.out.Anomaly(badPadding)
			padding = left
		}
	}
	p.checkLength(dir, h, f)
	p.interrupt(h)
	p.openData(dir, f.stream)
	if h.frame, h.left, h.padding = f, left, padding; left == 0 {
		p.endData(dir, h)
	}
	return n, true
}

// payload consumes what there is of a DATA frame, or of one that is skipped.
func (p *parser) payload(dir flow.Direction, h *half, b []byte) int {
	n := min(len(b), h.left)
	if body := min(n, h.left-h.padding); body > 0 {
		p.body(dir, h.frame.stream, b[:body])
	}
	if h.left -= n; h.left == 0 {
		p.endData(dir, h)
	}
	return n
}

// endData ends the frame, and its stream if the frame says so.
func (p *parser) endData(dir flow.Direction, h *half) {
	if h.frame.typ == typeData && h.frame.has(flagEndStream) {
		if s := p.streams[h.frame.stream]; s != nil {
			p.endSide(s, dir, event.Complete)
		}
	}
}

// Gap goes on in step if the gap ends within the frame at hand, else frames are searched for.
func (p *parser) Gap(dir flow.Direction, n int) error {
	h := &p.half[dir]
	h.gapped = true
	switch missing := max(h.left, h.missing); {
	case h.preface:
		h.preface, h.lost = false, true
	case h.lost:
	case n > 0 && n <= missing && h.left > 0:
		if body := min(n, h.left-h.padding); body > 0 {
			p.bodyGap(dir, h.frame.stream, body)
		}
		if h.left -= n; h.left == 0 {
			p.endData(dir, h)
		}
	case n > 0 && n <= missing:
		p.missed(h, h.frame)
		h.skip(h.frame, missing-n)
	default:
		p.lose(dir, h)
	}
	h.missing = 0
	return nil
}

// missed notes what it means that one frame was not read.
func (p *parser) missed(h *half, f frame) {
	switch f.typ {
	case typeHeaders, typePush, typeContinuation:
		h.table.forget()
		h.block.drop()
		if s := p.streams[f.stream]; s != nil {
			s.http.Lost()
		}
	}
}

// lose gives up where frames begin, the header table, and that any open stream of this direction is complete.
func (p *parser) lose(dir flow.Direction, h *half) {
	h.lost, h.left, h.padding = true, 0, 0
	h.table.forget()
	h.block.drop()
	for e := p.order.Front(); e != nil; e = e.Next() {
		e.Value.(*stream).lose(dir)
	}
}

// resync skips to where two frames follow one another. What it must see for that is no longer than the longest frame.
func (p *parser) resync(h *half, b []byte) (int, bool) {
	const ahead = 4096 // streams that may have been opened unseen
	last := max(p.last[0], p.last[1]) + ahead
	longest := min(h.longest, p.room()-headerSize)
	for i := range b {
		rest := b[i:]
		if len(rest) < headerSize {
			return i, false
		}
		if !plausible(rest, longest, last) {
			continue
		}
		next := headerSize + frameOf(rest).length
		if len(rest) < next+headerSize {
			return i, false
		}
		if plausible(rest[next:], longest, last) {
			h.lost = false
			return i, true
		}
	}
	return len(b), false
}

// End emits what is open.
func (p *parser) End() {
	for e := p.order.Front(); e != nil; e = p.order.Front() {
		p.finish(e.Value.(*stream))
	}
}
