package http2

import (
	"errors"

	"golang.org/x/net/http2/hpack"
)

const (
	defaultTableSize = 4096     // RFC 9113, section 6.5.2
	maxTableSize     = 64 << 10 // what browsers ask for; of a larger table only the newest entries are kept
	fieldOverhead    = 32       // RFC 7541, section 4.1
)

var errHPACK = errors.New("malformed header block")

// field is a field line. One that was lost in a gap, in full or in part, is unknown.
type field struct {
	name, value string
	unknown     bool
}

func (f field) size() int { return len(f.name) + len(f.value) + fieldOverhead }

// static is the table of RFC 7541, appendix A.
var static = staticTable()

func staticTable() []field {
	table := make([]field, 0, 61)
	d := hpack.NewDecoder(0, func(f hpack.HeaderField) { table = append(table, field{name: f.Name, value: f.Value}) })
	for i := byte(1); i <= 61; i++ {
		if _, err := d.Write([]byte{0x80 | i}); err != nil {
			panic(err) // the static table is a constant
		}
	}
	return table
}

// decoder holds the dynamic table of one direction. Unlike the decoder of x/net it goes on when entries are not known, and
// to drop one costs the same however large the table is.
type decoder struct {
	entries []field // oldest first, valid from first on
	first   int
	size    int
	max     int
	partial bool // there may be entries that are not known
	asked   int  // largest size that the block asked for
}

func newDecoder() decoder { return decoder{max: defaultTableSize} }

// forget makes the table unknown: a header block was missed.
func (d *decoder) forget() {
	*d = decoder{max: d.max, partial: true}
}

func (d *decoder) add(f field) {
	d.entries = append(d.entries, f)
	d.size += f.size()
	d.evict()
}

func (d *decoder) evict() {
	for d.size > d.max {
		d.size -= d.entries[d.first].size()
		d.entries[d.first] = field{}
		d.first++
	}
	if d.first > len(d.entries)/2 {
		d.entries = d.entries[:copy(d.entries, d.entries[d.first:])]
		clear(d.entries[len(d.entries) : len(d.entries)+d.first])
		d.first = 0
	}
}

func (d *decoder) resize(n int) {
	d.asked = max(d.asked, n)
	d.partial = d.partial || n > maxTableSize
	d.max = min(n, maxTableSize)
	d.evict()
}

// at returns an entry of the static or dynamic table. It is false if there can't be one.
func (d *decoder) at(i int) (field, bool) {
	if i <= 0 {
		return field{}, false
	}
	if i <= len(static) {
		return static[i-1], true
	}
	if n := len(d.entries) - (i - len(static)); n >= d.first {
		return d.entries[n], true
	}
	return field{unknown: true}, d.partial
}

// decode reads one header block. Names and values are strings of their own: nothing refers to b. keep is told each field
// line and returns false once it wants no more; the table is kept up even so.
func (d *decoder) decode(b []byte, keep func(field) bool) error {
	d.asked = 0
	wanted, begun := true, false
	for len(b) > 0 {
		var f field
		var err error
		switch c := b[0]; {
		case c&0x80 != 0: // section 6.1
			f, b, err = d.indexed(b)
		case c&0x40 != 0: // section 6.2.1
			if f, b, err = d.literal(b, 6, true); err == nil {
				d.add(f)
			}
		case c&0x20 != 0: // section 6.3
			var n int
			if n, b, err = integer(b, 5); err != nil || begun && d.size > 0 {
				return errHPACK // an update comes first (section 4.2); where there is nothing to drop it does no harm
			}
			d.resize(n)
			continue
		default: // sections 6.2.2, 6.2.3
			f, b, err = d.literal(b, 4, wanted)
		}
		if err != nil {
			return err
		}
		begun = true
		wanted = wanted && keep(f)
	}
	return nil
}

func (d *decoder) indexed(b []byte) (field, []byte, error) {
	i, b, err := integer(b, 7)
	if err != nil {
		return field{}, nil, err
	}
	f, ok := d.at(i)
	if !ok {
		return field{}, nil, errHPACK
	}
	return f, b, nil
}

// literal reads a field line whose name may be in a table. Unless it is wanted its strings are only skipped.
func (d *decoder) literal(b []byte, prefix uint, wanted bool) (f field, rest []byte, err error) {
	i, b, err := integer(b, prefix)
	if err != nil {
		return f, nil, err
	}
	if i > 0 {
		entry, ok := d.at(i)
		if !ok {
			return f, nil, errHPACK
		}
		f.name, f.unknown = entry.name, entry.unknown
	} else if f.name, b, err = text(b, wanted); err != nil {
		return f, nil, err
	}
	f.value, b, err = text(b, wanted)
	return f, b, err
}

// integer reads an integer with a prefix of so many bits (section 5.1).
func integer(b []byte, prefix uint) (int, []byte, error) {
	if len(b) == 0 {
		return 0, nil, errHPACK
	}
	mask := 1<<prefix - 1
	n := int(b[0]) & mask
	b = b[1:]
	if n < mask {
		return n, b, nil
	}
	for shift := uint(0); shift <= 21; shift += 7 { // no length or index is larger than 2^28
		if len(b) == 0 {
			break
		}
		c := b[0]
		b = b[1:]
		n += int(c&0x7f) << shift
		if c&0x80 == 0 {
			return n, b, nil
		}
	}
	return 0, nil, errHPACK
}

// text reads a string (section 5.2).
func text(b []byte, wanted bool) (string, []byte, error) {
	huffman := len(b) > 0 && b[0]&0x80 != 0
	n, b, err := integer(b, 7)
	if err != nil || n > len(b) {
		return "", nil, errHPACK
	}
	raw, b := b[:n], b[n:]
	switch {
	case !wanted:
		return "", b, nil
	case !huffman:
		return string(raw), b, nil
	}
	s, err := hpack.HuffmanDecodeToString(raw)
	if err != nil {
		return "", nil, errHPACK
	}
	return s, b, nil
}
