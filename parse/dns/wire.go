package dns

import "encoding/binary"

const (
	headerSize = 12
	maxName    = 255 // RFC 1035, section 2.3.4
	maxHops    = 127 // as many pointers as a name can have labels
)

// reader walks a message, or the data of one record in it. Once it is bad it returns zeros.
type reader struct {
	msg      []byte // the whole message: names point back into it
	off, end int
	bad      bool
}

func (r *reader) left() int { return r.end - r.off }

// take returns the next n bytes.
func (r *reader) take(n int) []byte {
	if r.bad || n > r.left() {
		r.bad = true
		return nil
	}
	r.off += n
	return r.msg[r.off-n : r.off : r.off]
}

func (r *reader) rest() []byte { return r.take(r.left()) }

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// name appends the name that begins here as text. A pointer must lead to before the part of the name that it ends:
// so every name ends.
func (r *reader) name(dst []byte) []byte {
	at, end, low := r.off, r.end, r.off
	start, size, hops := len(dst), 0, 0
	for !r.bad && at < end {
		c := int(r.msg[at])
		at++
		if c < 64 && at+c <= end && size+1+c <= maxName { // a label, the last one being empty
			if hops == 0 {
				r.off = at + c
			}
			if c == 0 {
				return rootIfEmpty(dst, start)
			}
			if len(dst) > start {
				dst = append(dst, '.')
			}
			dst = appendLabel(dst, r.msg[at:at+c])
			at += c
			size += 1 + c
			continue
		}
		if c < 0xc0 || at >= end || hops == maxHops {
			break
		}
		target := c&0x3f<<8 | int(r.msg[at])
		if target < headerSize || target >= low {
			break
		}
		if hops == 0 {
			r.off = at + 1
		}
		hops++
		at, low, end = target, target, len(r.msg)
	}
	r.bad = true
	return dst[:start]
}

func rootIfEmpty(dst []byte, start int) []byte {
	if len(dst) == start {
		return append(dst, '.')
	}
	return dst
}

// appendLabel writes one label in lower case, with the escapes of RFC 4343.
func appendLabel(dst, label []byte) []byte {
	for _, c := range label {
		switch {
		case 'A' <= c && c <= 'Z':
			dst = append(dst, c+'a'-'A')
		case c == '.' || c == '\\' || c == '"':
			dst = append(dst, '\\', c)
		default:
			dst = appendEscaped(dst, c)
		}
	}
	return dst
}

// appendEscaped writes a byte as it is if it is printable and no space, else as \DDD.
func appendEscaped(dst []byte, c byte) []byte {
	if c > ' ' && c < 0x7f {
		return append(dst, c)
	}
	return append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
}
