package capture

import (
	"errors"
	"fmt"
	"io"
)

// readSize is what one read of a file asks for: small enough to stay in a core's cache, large enough to make reads rare.
const readSize = 512 << 10

var errCut = errors.New("the file ends in the middle of a record")

// window is a buffer that slides over a stream of bytes. Slices of it are valid until the next peek.
type window struct {
	r          io.Reader
	buf        []byte
	start, end int   // of what was read and not yet taken
	base       int64 // offset of buf[0] in the stream
	err        error // of r
}

// peek returns the next n bytes without taking them. At the end of the stream it returns io.EOF; in a record that is cut
// or cannot be decompressed, damage. Callers bound n.
func (w *window) peek(n int) ([]byte, error) {
	if w.end-w.start < n {
		if err := w.fill(n); err != nil {
			return nil, err
		}
	}
	return w.buf[w.start : w.start+n], nil
}

// take drops n bytes that peek has shown.
func (w *window) take(n int) { w.start += n }

// fill reads until n bytes are there.
func (w *window) fill(n int) error {
	if n > len(w.buf) {
		w.move(make([]byte, n))
	} else if w.start+n > len(w.buf) {
		w.move(w.buf)
	}
	idle := 0
	for w.end-w.start < n {
		if w.err != nil {
			return w.short()
		}
		var got int
		got, w.err = w.r.Read(w.buf[w.end:])
		w.end += got
		if idle++; got > 0 {
			idle = 0
		} else if idle > 100 && w.err == nil {
			w.err = io.ErrNoProgress
		}
	}
	return nil
}

// move puts what is left at the start of buf.
func (w *window) move(buf []byte) {
	w.base += int64(w.start)
	w.end = copy(buf, w.buf[w.start:w.end])
	w.start, w.buf = 0, buf
}

// short says why the stream ended too early.
func (w *window) short() error {
	at := w.base + int64(w.end)
	switch {
	case w.err != io.EOF:
		return &FormatError{Offset: at, Err: w.err}
	case at == 0:
		return &FormatError{Offset: 0, Err: errors.New("the file is empty")}
	case w.start == w.end:
		return io.EOF
	}
	return &FormatError{Offset: at, Err: errCut}
}

// skip drops n bytes that need not be in the buffer.
func (w *window) skip(n int64) error {
	for n > int64(w.end-w.start) {
		n -= int64(w.end - w.start)
		w.start = w.end
		if _, err := w.peek(1); err != nil {
			if err == io.EOF {
				err = &FormatError{Offset: w.base + int64(w.end), Err: errCut}
			}
			return err
		}
	}
	w.start += int(n)
	return nil
}

// damage is err about the byte that is next.
func (w *window) damage(err error) error { return w.damageAt(0, err) }

// damageAt is err about the byte that is n after the next one.
func (w *window) damageAt(n int, err error) error {
	return &FormatError{Offset: w.base + int64(w.start+n), Err: err}
}

// tooLong is the damage of a length field, n after the next byte, that says more than is allowed.
func (w *window) tooLong(n int, what string, length uint64, limit int) error {
	return w.damageAt(n, fmt.Errorf("%s of %d bytes, more than the limit of %d", what, length, limit))
}
