package handshake

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ContentType is what a record carries (RFC 8446 §5.1).
type ContentType uint8

const (
	ChangeCipherSpec ContentType = 20
	Alert            ContentType = 21
	Handshake        ContentType = 22
	ApplicationData  ContentType = 23
)

const (
	// HeaderLen is the length of a record header.
	HeaderLen = 5
	// MaxPlaintext is the most that a record may carry.
	MaxPlaintext = 1 << 14
	// MaxPayload is the most that may follow a record header: RFC 5246 §6.2.3 allows 2048 bytes of expansion, RFC 8446 256.
	MaxPayload = MaxPlaintext + 2048
	// MaxRecord is the length of the longest record, with its header.
	MaxRecord = HeaderLen + MaxPayload
)

// ErrNotTLS is what ParseHeader returns for bytes that begin no record.
var ErrNotTLS = errors.New("not a TLS record")

// Header begins a record.
type Header struct {
	Type    ContentType
	Version uint16 // says little: TLS 1.3 writes 0x0303, a first ClientHello often 0x0301
	Length  int    // of the payload that follows
}

// ParseHeader reads the first HeaderLen bytes of b, which must be there. It accepts what a TLS or SSL 3.0 peer may send:
// a known type, major version 3, and a payload within MaxPayload that is empty only for application data.
func ParseHeader(b []byte) (Header, error) {
	_ = b[HeaderLen-1]
	h := Header{ContentType(b[0]), binary.BigEndian.Uint16(b[1:]), int(binary.BigEndian.Uint16(b[3:]))}
	switch {
	case h.Type < ChangeCipherSpec || h.Type > ApplicationData, b[1] != 3, b[2] > 4, h.Length > MaxPayload,
		h.Length == 0 && h.Type != ApplicationData:
		return h, ErrNotTLS
	}
	return h, nil
}

// VersionName returns "TLS 1.3" and the like, or the number in hexadecimal.
func VersionName(v uint16) string {
	switch v {
	case SSL30:
		return "SSL 3.0"
	case TLS10:
		return "TLS 1.0"
	case TLS11:
		return "TLS 1.1"
	case TLS12:
		return "TLS 1.2"
	case TLS13:
		return "TLS 1.3"
	}
	return fmt.Sprintf("0x%04X", v)
}

// Protocol versions as they appear on the wire.
const (
	SSL30 uint16 = 0x0300
	TLS10 uint16 = 0x0301
	TLS11 uint16 = 0x0302
	TLS12 uint16 = 0x0303
	TLS13 uint16 = 0x0304
)
