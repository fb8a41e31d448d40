package dns

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/parse"
)

// Bits of the header's second word.
const (
	bitAnswer = 1 << 15
	bitZero   = 1 << 6
	bitDNSSEC = 1 << 15 // in the TTL of an OPT record
)

// Codes of anomalies.
const (
	malformed     = "dns_malformed_message"
	badRecord     = "dns_bad_record"
	trailingBytes = "dns_trailing_bytes"
	manyQuestions = "dns_many_questions"
	manyOPT       = "dns_many_opt"
	tooLarge      = "dns_message_too_large"
)

// message is what was read of one message.
type message struct {
	id, flags uint16
	questions int
	name      string // of the first question
	typ       uint16 // of the first question
	answers   []string
	authority []string
	addresses []string
	opts      int
	extended  uint8 // upper bits of the response code
	dnssecOK  bool
	odd       []string // anomalies

	room int // characters of record text that may still be kept
	text []byte
}

// read fills m in. It returns false if there is not even a readable question, or nothing at all behind the header.
func (m *message) read(b []byte) bool {
	r := reader{msg: b, end: len(b)}
	m.id, m.flags = r.u16(), r.u16()
	m.questions = int(r.u16())
	counts := [3]int{int(r.u16()), int(r.u16()), int(r.u16())}
	for i := 0; i < m.questions && !r.bad; i++ {
		m.text = r.name(m.text[:0])
		typ := r.u16()
		r.u16()
		if i == 0 && !r.bad {
			m.name, m.typ = string(m.text), typ
		}
	}
	if r.bad {
		m.note(malformed)
		return false
	}
	if m.questions > 1 && m.id != 0 { // multicast DNS has no id and may ask many (RFC 6762, section 5.3)
		m.note(manyQuestions)
	}
	for section, n := range counts {
		for i := 0; i < n && !r.bad; i++ {
			m.record(&r, section)
		}
	}
	switch {
	case r.bad:
		m.note(malformed)
	case r.left() > 0:
		m.note(trailingBytes)
	}
	return true
}

// record reads one record of the answer (0), authority (1) or additional (2) section.
func (m *message) record(r *reader, section int) {
	m.text = r.name(m.text[:0])
	typ, class, ttl := r.u16(), r.u16(), r.u32()
	size := int(r.u16())
	data := reader{msg: r.msg, off: r.off, end: r.off + size, bad: r.bad}
	r.take(size)
	switch {
	case r.bad:
	case typ == typeOPT:
		m.option(ttl)
	case section == 2:
	case m.room <= len(m.text):
		m.note(tooLarge)
		m.room = 0
	default:
		m.keep(&data, section, typ, class, ttl)
	}
}

// keep writes a record, whose name is in m.text already, as text.
func (m *message) keep(data *reader, section int, typ, class uint16, ttl uint32) {
	m.text = append(m.text, ' ')
	m.text = strconv.AppendUint(m.text, uint64(ttl), 10)
	m.text = append(m.text, ' ')
	if class &^= cacheFlush; class != classIN {
		m.text = append(append(m.text, className(class)...), ' ')
	}
	m.text = append(append(m.text, typeName(typ)...), ' ')
	start, at := len(m.text), data.off
	if m.text = data.appendData(m.text, typ); data.bad {
		m.note(badRecord)
		data.off, data.bad = at, false
		m.text = data.appendGeneric(m.text[:start])
	} else if section == 0 && (typ == typeA || typ == typeAAAA) {
		addr, _ := netip.AddrFromSlice(data.msg[at:data.end])
		m.addresses = append(m.addresses, addr.String())
	}
	m.room -= len(m.text)
	if section == 0 {
		m.answers = append(m.answers, string(m.text))
	} else {
		m.authority = append(m.authority, string(m.text))
	}
}

// option takes the TTL of an OPT record (RFC 6891, section 6.1.3).
func (m *message) option(ttl uint32) {
	if m.opts++; m.opts > 1 {
		m.note(manyOPT)
		return
	}
	m.extended, m.dnssecOK = uint8(ttl>>24), ttl&bitDNSSEC != 0
}

// note remembers an anomaly, once.
func (m *message) note(code string) {
	for _, c := range m.odd {
		if c == code {
			return
		}
	}
	m.odd = append(m.odd, code)
}

func (m *message) answer() bool { return m.flags&bitAnswer != 0 }

func (m *message) opcode() string {
	if op := m.flags >> 11 & 15; op != 0 {
		return opcodeName(op)
	}
	return ""
}

func (m *message) code() string { return codeName(uint16(m.extended)<<4 | m.flags&15) }

// flagNames are the flags that are shown, in the order of the header.
var flagNames = []struct {
	bit  uint16
	name string
}{{1 << 10, "aa"}, {1 << 9, "tc"}, {1 << 8, "rd"}, {1 << 7, "ra"}, {1 << 5, "ad"}, {1 << 4, "cd"}}

// fill sets what an answer overrides of its query. Records of a query (UPDATE, multicast) stay unless the answer has some.
func (m *message) fill(d *event.DNS) {
	d.Flags = nil
	for _, f := range flagNames {
		if m.flags&f.bit != 0 {
			d.Flags = append(d.Flags, f.name)
		}
	}
	if m.dnssecOK {
		d.Flags = append(d.Flags, "do")
	}
	if m.answers != nil {
		d.Answers, d.Addresses = m.answers, m.addresses
	}
	if m.authority != nil {
		d.Authority = m.authority
	}
}

// plausible checks the header and the question of a message that may go on behind b.
func plausible(b []byte, size int) parse.Match {
	if size < headerSize {
		return parse.No
	}
	if len(b) < headerSize {
		return parse.Maybe
	}
	flags := binary.BigEndian.Uint16(b[2:])
	var n [4]int
	for i := range n {
		n[i] = int(binary.BigEndian.Uint16(b[4+2*i:]))
	}
	query, records := flags&bitAnswer == 0, n[1]+n[2]+n[3]
	switch op := flags >> 11 & 15; {
	case op > 5 || op == 3 || flags&bitZero != 0,
		query && flags&15 != 0,
		n[0] == 0 && (query || n[1]+n[2] == 0), // a multicast answer has no question
		headerSize+5*n[0]+11*records > size:
		return parse.No
	}
	return plausibleQuestion(b, size, n[0])
}

func plausibleQuestion(b []byte, size, questions int) parse.Match {
	if questions == 0 {
		return parse.Yes
	}
	r := reader{msg: b, off: headerSize, end: len(b)}
	var scratch [4 * maxName]byte
	r.name(scratch[:0])
	r.u16()
	class := r.u16()
	switch {
	case r.bad && len(b) < min(size, headerSize+maxName+4):
		return parse.Maybe
	case r.bad || className(class&^cacheFlush) == "":
		return parse.No
	}
	return parse.Yes
}

// probeMessage wants one whole message that is flawless, unless it is cut. Nothing less is told from random bytes.
func probeMessage(b []byte, cut bool) parse.Match {
	if len(b) < headerSize || plausible(b, len(b)) != parse.Yes {
		return parse.No
	}
	m := message{}
	if cut || m.read(b) && !m.flawed() {
		return parse.Yes
	}
	return parse.No
}

// flawed reports whether something is wrong with the form of the message.
func (m *message) flawed() bool {
	for _, c := range m.odd {
		if c == malformed || c == trailingBytes {
			return true
		}
	}
	return false
}
