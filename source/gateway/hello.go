package gateway

import (
	"errors"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
)

// maxHello bounds what is read of a client before its ClientHello is whole: the longest that crypto/tls takes, in the smallest
// records that make sense.
const maxHello = 80 << 10

// helloReader finds the ClientHello in the first bytes of a connection, however they are cut.
type helloReader struct {
	buf      []byte // all that was read
	done     int    // of it, bytes in records that were looked at
	messages handshake.Messages
	hello    *handshake.ClientHello // once it is whole
	not      bool                   // the connection does not begin with TLS
	broken   bool                   // it does, but with no ClientHello that can be read
}

// errHello stops handshake.Messages behind the ClientHello.
var errHello = errors.New("the ClientHello is whole")

// add looks at more bytes, and tells whether it takes none further to know.
func (r *helloReader) add(b []byte) (known bool) {
	r.buf = append(r.buf, b...)
	r.not = len(r.buf) > 0 && !beginsRecord(r.buf)
	for r.hello == nil && !r.not && !r.broken {
		rest := r.buf[r.done:]
		if len(rest) < handshake.HeaderLen {
			r.broken = len(rest) > 0 && rest[0] != byte(handshake.Handshake) || len(r.buf) > maxHello
			return r.broken
		}
		h, err := handshake.ParseHeader(rest)
		if err != nil || h.Type != handshake.Handshake || len(r.buf) > maxHello {
			r.broken = true
			break
		}
		end := handshake.HeaderLen + h.Length
		if len(rest) < end {
			return false
		}
		r.done += end
		r.record(rest[handshake.HeaderLen:end])
	}
	return true
}

func (r *helloReader) record(payload []byte) {
	err := r.messages.Add(payload, func(t handshake.MessageType, body []byte) error {
		hello := new(handshake.ClientHello)
		if t != handshake.TypeClientHello || hello.Parse(body) != nil {
			return handshake.ErrMalformed
		}
		r.hello = hello
		return errHello
	})
	r.broken = err != nil && r.hello == nil
}

// beginsRecord tells by the first byte, which must be there, whether a TLS record begins, of whatever type.
func beginsRecord(b []byte) bool {
	const heartbeat = 24 // the last type (RFC 6520 §3)
	return b[0] >= byte(handshake.ChangeCipherSpec) && b[0] <= heartbeat
}
