package decrypt

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
)

const (
	nonceLen = 12
	tagLen   = 16
)

// protection opens the records of one direction under one key. It does not count them: the caller does, so that after a
// loss several numbers can be tried.
type protection struct {
	aead     cipher.AEAD
	explicit int // bytes of nonce at the front of each payload: see handshake.Suite
	tls13    bool
	padded   bool // TLS 1.3: the sender pads, so the length of a record does not tell that of its content
	iv       [nonceLen]byte
	seq      uint64 // number of the next record
	last     uint64 // explicit nonce of the record before it
	nonce    [nonceLen]byte
	aad      [13]byte
}

// newProtection makes the protection of a suite from the key and the fixed part of the nonce.
func newProtection(suite handshake.Suite, key, iv []byte) (*protection, error) {
	aead, err := newAEAD(suite.AEAD, key)
	if err != nil {
		return nil, err
	}
	p := &protection{aead: aead, explicit: suite.ExplicitNonceLen(), tls13: suite.TLS13}
	copy(p.iv[:], iv)
	return p, nil
}

// newAEAD returns the cipher of a suite for a key of AEAD.KeyLen bytes, or an error if the suite has none.
func newAEAD(kind handshake.AEAD, key []byte) (cipher.AEAD, error) {
	switch kind {
	case handshake.AES128GCM, handshake.AES256GCM:
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("make record cipher: %w", err)
		}
		return cipher.NewGCM(block)
	case handshake.ChaCha20Poly1305:
		return chacha20poly1305.New(key)
	}
	return nil, fmt.Errorf("make record cipher: suite cannot be opened")
}

// overhead is how much longer a record is than its content, header included and padding of TLS 1.3 aside.
func (p *protection) overhead() int {
	n := handshake.HeaderLen + p.explicit + tagLen
	if p.tls13 {
		n++ // the inner content type
	}
	return n
}

// open authenticates a whole record as the seq-th and writes its content to dst, which has room for it and does not overlap
// with it. The content type is the true one.
func (p *protection) open(dst, record []byte, seq uint64) ([]byte, handshake.ContentType, bool) {
	payload := record[handshake.HeaderLen:]
	typ := handshake.ContentType(record[0])
	if len(payload) < p.explicit+tagLen {
		return nil, 0, false
	}
	if p.tls13 {
		return p.open13(dst, record, payload, seq)
	}
	p.nonce = p.iv
	if p.explicit > 0 {
		copy(p.nonce[nonceLen-p.explicit:], payload)
		payload = payload[p.explicit:]
	} else {
		p.mixNonce(seq) // ChaCha20-Poly1305 carries none
	}
	// RFC 5246 §6.2.3.3: number, type, version and length of the content.
	binary.BigEndian.PutUint64(p.aad[:8], seq)
	copy(p.aad[8:11], record)
	binary.BigEndian.PutUint16(p.aad[11:], uint16(len(payload)-tagLen))
	plain, err := p.aead.Open(dst[:0], p.nonce[:], payload, p.aad[:])
	return plain, typ, err == nil && len(plain) <= handshake.MaxPlaintext
}

// open13 opens a record of TLS 1.3 and takes off the padding behind the true content type (RFC 8446 §5.2, §5.4).
func (p *protection) open13(dst, record, payload []byte, seq uint64) ([]byte, handshake.ContentType, bool) {
	p.nonce = p.iv
	p.mixNonce(seq)
	plain, err := p.aead.Open(dst[:0], p.nonce[:], payload, record[:handshake.HeaderLen])
	if err != nil {
		return nil, 0, false
	}
	for i := len(plain) - 1; i >= 0; i-- {
		if plain[i] != 0 {
			p.padded = p.padded || i < len(plain)-1
			return plain[:i], handshake.ContentType(plain[i]), true
		}
	}
	return nil, 0, true // padding alone: authentic, and nothing
}

// mixNonce combines the IV in p.nonce with the record number (RFC 8446 §5.3, RFC 7905 §2).
func (p *protection) mixNonce(seq uint64) {
	tail := p.nonce[nonceLen-8:]
	binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)^seq)
}

// opened notes that record was the seq-th.
func (p *protection) opened(record []byte, seq uint64) {
	p.seq = seq + 1
	if p.explicit > 0 {
		p.last = explicitNonce(record)
	}
}

// likely returns the number that the explicit nonce of record suggests: senders count it up by one, wherever they start.
func (p *protection) likely(record []byte) (seq uint64, ok bool) {
	if p.explicit == 0 || p.seq == 0 || len(record) < handshake.HeaderLen+p.explicit {
		return 0, false
	}
	jump := explicitNonce(record) - p.last
	return p.seq - 1 + jump, jump > 0 && jump < 1<<32
}

// explicitNonce returns the part of the nonce that a record of GCM in TLS 1.2 carries (RFC 5288 §3). Valid iff the record is long enough.
func explicitNonce(record []byte) uint64 {
	return binary.BigEndian.Uint64(record[handshake.HeaderLen:])
}
