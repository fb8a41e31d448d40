package handshake

import "errors"

// ErrMalformed is what every parser of this package returns for bytes that are not what they claim to be.
var ErrMalformed = errors.New("malformed handshake message")

// reader takes fields from the front of b. The first field that is not there makes it fail for good; then all fields are
// zero, so that a parser checks once, at the end.
type reader struct {
	b      []byte
	failed bool
}

// take takes n bytes, which stay part of b.
func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.b, r.failed = nil, true
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// uint takes an unsigned integer of n bytes, n <= 4.
func (r *reader) uint(n int) int {
	v := 0
	for _, c := range r.take(n) {
		v = v<<8 | int(c)
	}
	return v
}

func (r *reader) u8() uint8   { return uint8(r.uint(1)) }
func (r *reader) u16() uint16 { return uint16(r.uint(2)) }

// vector takes a byte string that is preceded by its length in n bytes.
func (r *reader) vector(n int) []byte { return r.take(r.uint(n)) }

// sub takes a vector to read fields from. Its failure is its own.
func (r *reader) sub(n int) reader { return reader{b: r.vector(n), failed: r.failed} }

func (r *reader) empty() bool { return len(r.b) == 0 }

// appendU16s appends the 16-bit numbers of a vector to dst. A trailing odd byte makes the reader fail.
func (r *reader) appendU16s(dst []uint16, n int) []uint16 {
	v := r.vector(n)
	if len(v)%2 != 0 {
		r.failed = true
	}
	for ; len(v) >= 2; v = v[2:] {
		dst = append(dst, uint16(v[0])<<8|uint16(v[1]))
	}
	return dst
}

// err returns ErrMalformed if a field was not there.
func (r *reader) err() error {
	if r.failed {
		return ErrMalformed
	}
	return nil
}
