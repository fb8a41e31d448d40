package handshake

import (
	"cmp"
	"crypto"
	"fmt"
	"slices"
	"strings"
)

// AEAD is the cipher of a suite that protects records with authenticated encryption.
type AEAD uint8

const (
	NoAEAD AEAD = iota // CBC, stream ciphers and AEADs that cannot be opened here
	AES128GCM
	AES256GCM
	ChaCha20Poly1305
)

// Suite is a cipher suite.
type Suite struct {
	ID   uint16
	Name string // IANA name, or the id in hexadecimal
	AEAD AEAD
	Hash crypto.Hash // of the key schedule or pseudo-random function; valid iff AEAD is set
	// TLS13 suites name no key exchange and are used by TLS 1.3 alone.
	TLS13 bool
}

// SuiteByID returns the suite of that number. An unknown one has a name and no AEAD.
func SuiteByID(id uint16) Suite {
	i, ok := slices.BinarySearchFunc(suiteNames[:], id, func(s suiteName, id uint16) int { return cmp.Compare(s.id, id) })
	if !ok {
		return Suite{ID: id, Name: fmt.Sprintf("0x%04X", id)}
	}
	s := Suite{ID: id, Name: suiteNames[i].name, Hash: crypto.SHA256}
	keyExchange, protection, found := strings.Cut(strings.TrimPrefix(s.Name, "TLS_"), "_WITH_")
	if !found {
		protection, s.TLS13 = keyExchange, true
	}
	switch protection {
	case "AES_128_GCM_SHA256":
		s.AEAD = AES128GCM
	case "AES_256_GCM_SHA384":
		s.AEAD, s.Hash = AES256GCM, crypto.SHA384
	case "CHACHA20_POLY1305_SHA256":
		s.AEAD = ChaCha20Poly1305
	}
	return s
}

// KeyLen returns the length of the key in bytes.
func (a AEAD) KeyLen() int {
	switch a {
	case AES128GCM:
		return 16
	case AES256GCM, ChaCha20Poly1305:
		return 32
	}
	return 0
}

// FixedIVLen returns how many bytes of the 12-byte nonce come from the key schedule.
func (s Suite) FixedIVLen() int { return 12 - s.ExplicitNonceLen() }

// ExplicitNonceLen returns how many bytes of nonce each record begins with: 8 for AES-GCM in TLS 1.2 (RFC 5288 §3), 0 for
// ChaCha20-Poly1305 (RFC 7905 §2) and in TLS 1.3.
func (s Suite) ExplicitNonceLen() int {
	if !s.TLS13 && (s.AEAD == AES128GCM || s.AEAD == AES256GCM) {
		return 8
	}
	return 0
}
