package content

import (
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
)

// maxEncodings is how many encodings content may be wrapped in; more are a way to hide, never of use.
const maxEncodings = 4

// decoder undoes encodings. Bytes are pushed into it while the decompressors pull, so these run in a coroutine that
// rests whenever it has read all that was pushed.
type decoder struct {
	sink     *Sink
	layers   []layer // in the order in which they are undone
	in       []byte  // pushed and not yet read; the caller's
	eof      bool    // nothing more will be pushed
	short    bool    // and that is because the rest was not seen
	ended    bool    // the coroutine has returned
	trailing bool    // bytes that follow the end are worth an anomaly still
	more     func() (struct{}, bool)
	stop     func()
	yield    func(struct{}) bool
}

// Errors that end decompression besides those of the decompressors.
var (
	errSize     = errors.New("decompressed size exceeded")
	errRatio    = errors.New("compression ratio exceeded")
	errTime     = errors.New("time exceeded")
	errMemory   = errors.New("memory exceeded")
	errTrailing = errors.New("bytes behind the end of the content")
)

// names returns the encodings in the order in which they are undone, or none if one of them is not known.
func (s *Sink) names(encodings string) []string {
	if encodings == "" {
		return nil
	}
	var names []string
	for name := range strings.SplitSeq(encodings, ",") {
		name = strings.ToLower(strings.Trim(name, " \t"))
		switch name {
		case "", "identity":
			continue
		case "x-gzip":
			name = "gzip"
		case "gzip", "deflate", "br", "zstd":
		default:
			s.out.Anomaly(UnknownEncoding)
			return nil
		}
		names = append([]string{name}, names...)
		if len(names) > maxEncodings {
			s.out.Anomaly(TooManyEncodings)
			return nil
		}
	}
	return names
}

func newDecoder(s *Sink, names []string) *decoder {
	d := &decoder{sink: s, layers: make([]layer, len(names))}
	for i, name := range names {
		d.layers[i] = layer{decoder: d, name: name}
	}
	d.more, d.stop = iter.Pull(func(yield func(struct{}) bool) {
		d.yield = yield
		d.run()
	})
	return d
}

// write lets the coroutine read b.
func (d *decoder) write(b []byte) {
	if d.ended {
		d.trail(len(b))
		return
	}
	d.in = b
	d.resume()
	d.in = nil
}

// close ends the content and the coroutine, which first hands on what it still holds. All of it was seen unless short.
func (d *decoder) close(short bool) {
	if !d.ended {
		d.eof, d.short = true, short
		d.resume()
	}
	d.stop()
}

func (d *decoder) resume() {
	d.ended = true // stays so if a decompressor panics
	_, ok := d.more()
	d.ended = !ok
}

// trail tells of bytes behind the end.
func (d *decoder) trail(n int) {
	if d.trailing && n > 0 {
		d.trailing = false
		d.sink.out.Anomaly(TrailingBytes)
	}
}

// undone returns the encodings that were undone, in the order in which they had been applied.
func (d *decoder) undone() string {
	var names []string
	for i := range d.layers {
		if l := &d.layers[i]; l.undone {
			names = append([]string{l.name}, names...)
		}
	}
	return strings.Join(names, ", ")
}

// run is the coroutine: it reads the content until it ends.
func (d *decoder) run() {
	if d.wait() != nil {
		return // empty content is not compressed at all
	}
	var r io.Reader = d
	for i := range d.layers {
		d.layers[i].open(r)
		r = &d.layers[i]
	}
	plain := d.layers[len(d.layers)-1].tools.plain
	for {
		n, err := r.Read(plain)
		d.sink.plain(plain[:n])
		if err != nil {
			d.finish(err)
			break
		}
	}
	for i := range d.layers {
		d.layers[i].close()
	}
}

func (d *decoder) finish(err error) {
	switch {
	case err == io.EOF:
		d.trailing = true
		d.trail(d.layers[0].tools.in.Buffered() + len(d.in))
	case errors.Is(err, errTrailing):
		d.trailing = true
		d.trail(1)
	case errors.Is(err, errSize):
		d.sink.cut(SizeExceeded)
	case errors.Is(err, errRatio):
		d.sink.cut(RatioExceeded)
	case errors.Is(err, errTime):
		d.sink.cut(TimeExceeded)
	case errors.Is(err, errMemory):
		d.sink.cut(OverMemory)
	case d.short:
		d.sink.state = worse(d.sink.state, event.Truncated)
	default:
		d.sink.cut(Undecodable)
	}
}

// Read gives the outermost decompressor what was pushed.
func (d *decoder) Read(p []byte) (int, error) {
	if err := d.wait(); err != nil {
		return 0, err
	}
	n := copy(p, d.in)
	d.in = d.in[n:]
	return n, nil
}

// wait rests until something was pushed.
func (d *decoder) wait() error {
	for len(d.in) == 0 {
		if d.eof || !d.yield(struct{}{}) {
			return io.EOF
		}
	}
	return nil
}
