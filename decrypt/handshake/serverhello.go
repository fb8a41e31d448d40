package handshake

import "crypto/sha256"

// ServerHello answers a ClientHello (RFC 8446 §4.1.3, RFC 5246 §7.4.1.3).
type ServerHello struct {
	LegacyVersion uint16
	Version       uint16 // what was really negotiated
	Random        [32]byte
	SessionID     []byte // valid as long as the parsed bytes
	CipherSuite   uint16
	Extensions    []uint16
	ALPN          string // TLS 1.2 and before; TLS 1.3 tells it in EncryptedExtensions
	PreSharedKey  bool   // TLS 1.3: the session was resumed, or the key agreed on beforehand
	Retry         bool   // it is a HelloRetryRequest: another ClientHello follows
}

// retryRandom marks a HelloRetryRequest: the SHA-256 of these words (RFC 8446 §4.1.3).
var retryRandom = sha256.Sum256([]byte("HelloRetryRequest"))

// Parse fills in h from the body of a message, using the room of its list again.
func (h *ServerHello) Parse(body []byte) error {
	*h = ServerHello{Extensions: h.Extensions[:0]}
	r := reader{b: body}
	h.LegacyVersion = r.u16()
	h.Version = h.LegacyVersion
	copy(h.Random[:], r.take(len(h.Random)))
	h.SessionID = r.vector(1)
	h.CipherSuite = r.u16()
	r.u8() // compression method
	if r.failed || r.empty() {
		return r.err()
	}
	err := eachExtension(&r, func(t uint16, ext reader) error {
		h.Extensions = append(h.Extensions, t)
		switch t {
		case extSupportedVersions:
			h.Version = ext.u16() // TLS 1.3 hides from middleboxes behind the version of TLS 1.2
		case extPreSharedKey:
			h.PreSharedKey = true
		case extALPN:
			h.ALPN = firstALPN(&ext)
		}
		return ext.err()
	})
	h.Retry = h.Random == retryRandom && h.Version == TLS13
	return err
}

// ParseEncryptedExtensions returns the application protocol that the server chose in TLS 1.3, or an empty string, and whether
// it accepted early data (RFC 8446 §4.3.1).
func ParseEncryptedExtensions(body []byte) (alpn string, earlyData bool, err error) {
	r := reader{b: body}
	err = eachExtension(&r, func(t uint16, ext reader) error {
		switch t {
		case extALPN:
			alpn = firstALPN(&ext)
		case extEarlyData:
			earlyData = true
		}
		return ext.err()
	})
	return alpn, earlyData, err
}

// firstALPN returns the one protocol that a server's list has (RFC 7301 §3.1).
func firstALPN(r *reader) string {
	if names := parseALPN(r); len(names) > 0 {
		return names[0]
	}
	return ""
}
