package content

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

const (
	ratioFree   = 1 << 20  // decompressed bytes before the ratio counts
	zstdWindow  = 8 << 20  // the most that RFC 9659 allows content to need
	pieceSize   = 32 << 10 // of plain content
	bufferSize  = 4 << 10  // of encoded content
	magicLength = 4        // of the longest beginning that tells an encoding

	deflateWindow = 128 << 10 // with tables and buffers
)

// layer undoes one encoding and minds the limits. What is not encoded as its name says passes as it is.
type layer struct {
	decoder *decoder
	name    string
	tools   *tools
	plain   io.Reader // nil before the first Read
	total   int64     // bytes that came out
	undone  bool
	window  int // bytes that it may hold, taken from Output.Memory
}

// tools are what is costly to make for a layer, so they are used again.
type tools struct {
	in    *bufio.Reader // what all the decompressors read from
	plain []byte

	gzip   *gzip.Reader
	zlib   io.ReadCloser
	flate  io.ReadCloser
	brotli *brotli.Reader
	zstd   *zstd.Decoder
}

var pool = sync.Pool{New: func() any {
	return &tools{in: bufio.NewReaderSize(nil, bufferSize), plain: make([]byte, pieceSize)}
}}

func (l *layer) open(r io.Reader) {
	l.tools = pool.Get().(*tools)
	l.tools.in.Reset(r)
}

// close gives back what open took. Not after a panic: the tools may be broken.
func (l *layer) close() {
	l.decoder.sink.out.Memory.Give(l.window)
	l.tools.in.Reset(nil)
	pool.Put(l.tools)
}

func (l *layer) Read(p []byte) (int, error) {
	if l.plain == nil {
		if err := l.begin(); err != nil {
			return 0, err
		}
	}
	n, err := l.plain.Read(p)
	if !l.undone {
		return n, err
	}
	limits := &l.decoder.sink.out.Limits
	l.total += int64(n)
	switch {
	case l.total > limits.Decompressed:
		excess := l.total - limits.Decompressed
		l.total = limits.Decompressed
		return n - int(excess), errSize
	case l.total > ratioFree && l.total/max(l.decoder.sink.wire, 1) >= limits.Ratio:
		return n, errRatio
	case l.decoder.sink.out.Exhausted():
		return n, errTime
	}
	return n, l.ending(err)
}

// ending turns the error by which a decompressor says that bytes follow its end into errTrailing.
func (l *layer) ending(err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case l.name == "br" && err.Error() == "brotli: excessive input": // the library exports no such error
		return errTrailing
	case l.name == "zstd" && errors.Is(err, zstd.ErrMagicMismatch): // of a frame that is not the first: begin saw that one
		return errTrailing
	}
	return err
}

// begin looks at the first bytes and chooses the decompressor.
func (l *layer) begin() error {
	t := l.tools
	head, err := t.in.Peek(magicLength)
	if err != nil && err != io.EOF {
		return err
	}
	l.plain = t.in
	if len(head) == 0 {
		return nil
	}
	if !l.reserve(head) {
		return l.refuse()
	}
	l.undone = true
	switch {
	case l.name == "gzip" && isGzip(head):
		l.plain = (*members)(t)
		return t.openGzip()
	case l.name == "deflate" && isZlib(head):
		return l.beginZlib()
	case l.name == "deflate":
		l.beginFlate()
		return nil
	case l.name == perMessage:
		l.beginFlate()
		l.plain = (*restarts)(t)
		return nil
	case l.name == "br":
		if t.brotli == nil {
			t.brotli = new(brotli.Reader)
		}
		l.plain = t.brotli
		return t.brotli.Reset(t.in)
	case l.name == "zstd" && isZstd(head):
		return l.beginZstd()
	}
	l.undone = false
	l.decoder.sink.out.Anomaly(NotEncoded)
	return nil
}

func (l *layer) beginZlib() (err error) {
	t := l.tools
	if t.zlib == nil {
		t.zlib, err = zlib.NewReader(t.in)
	} else {
		err = t.zlib.(zlib.Resetter).Reset(t.in, nil)
	}
	l.plain = t.zlib
	return err
}

// beginFlate is for senders that take "deflate" literally; RFC 9110 section 8.4.1.2 means zlib.
func (l *layer) beginFlate() {
	t := l.tools
	if t.flate == nil {
		t.flate = flate.NewReader(t.in)
	} else {
		_ = t.flate.(flate.Resetter).Reset(t.in, nil) // always nil
	}
	l.plain = t.flate
}

func (l *layer) beginZstd() (err error) {
	t := l.tools
	if t.zstd == nil {
		// One at a time: no goroutines.
		t.zstd, err = zstd.NewReader(t.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
	} else {
		err = t.zstd.Reset(t.in)
	}
	l.plain = t.zstd
	return err
}

func (t *tools) openGzip() error {
	if t.gzip == nil {
		t.gzip = new(gzip.Reader)
	}
	err := t.gzip.Reset(t.in)
	if err == nil {
		t.gzip.Multistream(false)
	}
	return err
}

// members reads the members of gzip content one after the other. Bytes behind the last that begin no other member are
// left: recipients ignore them.
type members tools

func (m *members) Read(p []byte) (int, error) {
	t := (*tools)(m)
	for {
		n, err := t.gzip.Read(p)
		if n > 0 || err != io.EOF {
			if err == io.EOF {
				err = nil // comes again with the next call
			}
			return n, err
		}
		if next, _ := t.in.Peek(2); !isGzip(next) {
			return 0, io.EOF
		}
		if err = t.openGzip(); err != nil {
			return 0, err
		}
	}
}

func isGzip(b []byte) bool { return len(b) >= 2 && b[0] == 0x1f && b[1] == 0x8b }

// isZlib checks the header of RFC 1950 section 2.2.
func isZlib(b []byte) bool {
	return len(b) >= 2 && b[0]&0x0f == 8 && b[0]>>4 <= 7 && b[1]&0x20 == 0 && binary.BigEndian.Uint16(b)%31 == 0
}

// isZstd checks for the magic number of a frame or of a skippable frame, RFC 8878 section 3.1.
func isZstd(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	magic := binary.LittleEndian.Uint32(b)
	return magic == 0xfd2fb528 || magic&^0xf == 0x184d2a50
}
