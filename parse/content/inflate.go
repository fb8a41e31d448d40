package content

import (
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/parse"
)

// perMessage is the encoding of WebSocket messages, RFC 7692.
const perMessage = "permessage-deflate"

// messageEnd is what a sender takes off the end of each message, RFC 7692 section 7.2.2.
var messageEnd = [4]byte{0x00, 0x00, 0xff, 0xff}

// Inflater undoes the compression of messages that are one deflate stream together: each may refer to those before it.
type Inflater struct {
	out     *parse.Output
	decoder *decoder
}

// NewInflater returns an Inflater for the messages of one direction. Close must be called in the end.
func NewInflater(out *parse.Output) *Inflater { return &Inflater{out: out} }

// Message returns the Sink of the next message, after the one before has been finished. Once a message could not be
// decompressed to its end, those after it cannot be either.
func (i *Inflater) Message() *Sink {
	s := New(i.out, "")
	s.shared = true
	if i.decoder == nil {
		i.decoder = newDecoder(s, []string{perMessage})
	}
	s.decoder = i.decoder
	s.decoder.sink = s
	s.decoder.layers[0].total = 0
	if s.decoder.ended {
		s.state = event.Truncated
	}
	return s
}

// Close lets go of what is held.
func (i *Inflater) Close() {
	if i.decoder != nil {
		i.decoder.close(true)
	}
}

// restarts reads a deflate stream that goes on after a final block (RFC 7692 section 7.2.3.4).
type restarts tools

func (r *restarts) Read(p []byte) (int, error) {
	for {
		n, err := r.flate.Read(p)
		if n > 0 || err != io.EOF {
			if err == io.EOF {
				err = nil // comes again with the next call
			}
			return n, err
		}
		if _, err := r.in.Peek(1); err != nil {
			return 0, err
		}
		_ = r.flate.(flate.Resetter).Reset(r.in, nil) // always nil
	}
}
