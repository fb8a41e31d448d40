package mail

// base64Decoder undoes base64 as mail programs do (RFC 2045 section 6.8): what is none of its characters is skipped, and there may be
// more behind the padding.
type base64Decoder struct {
	bits   uint32
	digits int // that bits holds, fewer than 4
	bad    bool
	out    [3 << 10]byte
	n      int // bytes in out
}

func (d *base64Decoder) decode(b []byte, f func([]byte)) {
	for _, c := range b {
		switch v := base64Digit(c); {
		case v >= 0:
			d.bits = d.bits<<6 | uint32(v)
			if d.digits++; d.digits == 4 {
				d.put(3, f)
			}
		case c == '=':
			d.pad(f)
		case c != '\r' && c != '\n' && c != ' ' && c != '\t':
			d.bad = true
		}
	}
	d.flush(f)
}

// pad ends a group of fewer than four digits.
func (d *base64Decoder) pad(f func([]byte)) {
	if d.digits >= 2 {
		n := d.digits - 1
		d.bits <<= 6 * (4 - d.digits)
		d.put(n, f)
	}
	d.digits = 0
}

// put adds n of the three bytes that four digits are.
func (d *base64Decoder) put(n int, f func([]byte)) {
	if d.n+3 > len(d.out) {
		d.flush(f)
	}
	d.out[d.n], d.out[d.n+1], d.out[d.n+2] = byte(d.bits>>16), byte(d.bits>>8), byte(d.bits)
	d.n += n
	d.bits, d.digits = 0, 0
}

func (d *base64Decoder) flush(f func([]byte)) {
	if d.n > 0 {
		f(d.out[:d.n])
		d.n = 0
	}
}

func (d *base64Decoder) end(f func([]byte)) bool {
	d.pad(f)
	d.flush(f)
	return d.bad
}

func base64Digit(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

// maxSpace is how much white space at a line's end quotedDecoder can drop. RFC 2045 section 6.7 has lines of 76 bytes.
const maxSpace = 1 << 10

// quotedDecoder undoes quoted-printable (RFC 2045 section 6.7). An escape that is none stands for itself.
type quotedDecoder struct {
	escape []byte // the beginning of one: "=", and what has followed it so far
	space  []byte // white space that counts only if something follows in its line
	out    []byte
}

func (d *quotedDecoder) decode(b []byte, f func([]byte)) {
	d.out = d.out[:0]
	for _, c := range b {
		d.next(c)
	}
	if len(d.out) > 0 {
		f(d.out)
	}
}

func (d *quotedDecoder) next(c byte) {
	switch {
	case len(d.escape) > 0 && d.escaped(c):
	case c == '=':
		d.escape = append(d.escape, c)
	case (c == ' ' || c == '\t') && len(d.space) < maxSpace:
		d.space = append(d.space, c)
	case c == '\r' || c == '\n':
		d.space = d.space[:0]
		d.out = append(d.out, c)
	default:
		d.literal(c)
	}
}

func (d *quotedDecoder) literal(b ...byte) {
	d.out = append(append(d.out, d.space...), b...)
	d.space = d.space[:0]
}

// escaped takes what follows an equals sign. It returns false if c is not part of the escape, which has ended then.
func (d *quotedDecoder) escaped(c byte) bool {
	last := d.escape[len(d.escape)-1]
	switch {
	case c == '\n' && (last == '=' || isBlank(last)): // a soft line break
		d.escape = d.escape[:0]
		d.out = append(d.out, d.space...)
		d.space = d.space[:0]
	case len(d.escape) < maxSpace && isBlank(c) && (last == '=' || isBlank(last)):
		d.escape = append(d.escape, c)
	case last == '=' && hexDigit(c) >= 0:
		d.escape = append(d.escape, c)
	case len(d.escape) == 2 && hexDigit(last) >= 0 && hexDigit(c) >= 0:
		d.literal(byte(hexDigit(last)<<4 | hexDigit(c)))
		d.escape = d.escape[:0]
	default:
		d.literal(d.escape...)
		d.escape = d.escape[:0]
		return false
	}
	return true
}

func (d *quotedDecoder) end(f func([]byte)) bool {
	if len(d.escape)+len(d.space) > 0 {
		f(append(d.space, d.escape...))
	}
	return false
}

// isBlank says whether a byte may stand between an equals sign and the line end.
func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
