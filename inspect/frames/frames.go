// Package frames edits the two halves of an HTTP/2 connection (RFC 9113) while both peers believe that they talk to each other. A client's
// bytes come in with a verdict about each of its streams; what of them is forwarded goes out, and answers in the server's name can be put
// between the server's frames. As long as nothing is taken out, bytes pass as they are. It knows nothing of what requests mean, nor
// why one is dropped.
package frames

import (
	"encoding/binary"
	"errors"

	"golang.org/x/net/http2/hpack"
)

const headerSize = 9

// Frame types and flags (RFC 9113, section 6).
const (
	data         = 0x0
	headers      = 0x1
	priority     = 0x2
	resetStream  = 0x3
	settings     = 0x4
	push         = 0x5
	ping         = 0x6
	goAway       = 0x7
	window       = 0x8
	continuation = 0x9

	endStream   = 0x1
	ack         = 0x1
	endHeaders  = 0x4
	padded      = 0x8
	prioritised = 0x20
)

const (
	noError      = 0x0
	streamClosed = 0x5
	cancel       = 0x8
)

// Errors after which a connection cannot go on: nobody can tell what the server would make of the rest.
var (
	errPreface   = errors.New("the client's preface is another one")
	errFrame     = errors.New("a frame that must not be there, or of an impossible length")
	errBlock     = errors.New("a header block that cannot be read")
	errTooMany   = errors.New("too many streams at once")
	errForwarded = errors.New("a part of the frame was forwarded already")
	errUnjudged  = errors.New("a request that was not judged")
)

// frame is the header of one.
type frame struct {
	length int
	typ    uint8
	flags  uint8
	stream uint32
}

func frameOf(b []byte) frame {
	return frame{int(b[0])<<16 | int(b[1])<<8 | int(b[2]), b[3], b[4], binary.BigEndian.Uint32(b[5:]) &^ (1 << 31)}
}

func (f frame) has(flag uint8) bool { return f.flags&flag != 0 }

func (f frame) append(b []byte) []byte {
	b = append(b, byte(f.length>>16), byte(f.length>>8), byte(f.length), f.typ, f.flags)
	return binary.BigEndian.AppendUint32(b, f.stream)
}

func appendReset(b []byte, stream, code uint32) []byte {
	return binary.BigEndian.AppendUint32(frame{4, resetStream, 0, stream}.append(b), code)
}

func appendWindow(b []byte, stream uint32, n int) []byte {
	return binary.BigEndian.AppendUint32(frame{4, window, 0, stream}.append(b), uint32(n))
}

// appendField writes a field line as a literal that stays out of the receiver's table, whose state so does not matter (RFC 7541, sections
// 6.2.2 and 6.2.3).
func appendField(b []byte, f hpack.HeaderField) []byte {
	begin := byte(0x00)
	if f.Sensitive {
		begin = 0x10
	}
	return appendText(appendText(append(b, begin), f.Name), f.Value)
}

func appendText(b []byte, s string) []byte {
	n := len(s)
	if n < 0x7f {
		return append(append(b, byte(n)), s...)
	}
	b = append(b, 0x7f)
	for n -= 0x7f; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(append(b, byte(n)), s...)
}

// maxPayload is how long a frame may be that everybody takes.
const maxPayload = 16 << 10

// appendBlock writes a header block, in as many frames as it needs. What of the payload comes before the block belongs to the first.
func appendBlock(b []byte, f frame, before, block []byte) []byte {
	f.flags &^= padded | endHeaders
	first := min(len(block), maxPayload-len(before))
	f.length = len(before) + first
	if first == len(block) {
		f.flags |= endHeaders
	}
	b = append(append(f.append(b), before...), block[:first]...)
	for block = block[first:]; len(block) > 0; {
		n := min(len(block), maxPayload)
		c := frame{n, continuation, 0, f.stream}
		if n == len(block) {
			c.flags = endHeaders
		}
		b = append(c.append(b), block[:n]...)
		block = block[n:]
	}
	return b
}
