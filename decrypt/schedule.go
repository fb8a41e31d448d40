package decrypt

import (
	"crypto"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
)

// Labels of RFC 9850 and its predecessor, the NSS key log.
const (
	LabelMaster          = "CLIENT_RANDOM" // the master secret of TLS 1.2 and before
	LabelClientEarly     = "CLIENT_EARLY_TRAFFIC_SECRET"
	LabelClientHandshake = "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
	LabelServerHandshake = "SERVER_HANDSHAKE_TRAFFIC_SECRET"
	LabelClientTraffic   = "CLIENT_TRAFFIC_SECRET_0"
	LabelServerTraffic   = "SERVER_TRAFFIC_SECRET_0"
	LabelClientUpdated   = "CLIENT_TRAFFIC_SECRET_N" // after a KeyUpdate; a Session derives it, an exported key log shows it
	LabelServerUpdated   = "SERVER_TRAFFIC_SECRET_N"
)

const masterLen = 48 // bytes (RFC 5246 §8.1)

// epoch is the span of a direction under one kind of key. TLS 1.2 knows the first and the last only.
type epoch uint8

const (
	epochPlain       epoch = iota
	epochEarly             // TLS 1.3, client: application data that comes with the ClientHello (0-RTT)
	epochHandshake         // TLS 1.3: from EncryptedExtensions to Finished
	epochApplication       // and all that TLS 1.2 protects, Finished included
)

// label returns the name of the secret that protects an epoch of a direction in TLS 1.3, or an empty string.
func (e epoch) label(dir flow.Direction) string {
	switch {
	case e == epochEarly && dir == flow.ToServer:
		return LabelClientEarly
	case e == epochHandshake && dir == flow.ToServer:
		return LabelClientHandshake
	case e == epochHandshake:
		return LabelServerHandshake
	case e == epochApplication && dir == flow.ToServer:
		return LabelClientTraffic
	case e == epochApplication:
		return LabelServerTraffic
	}
	return ""
}

// negotiation is what the two hellos agree on.
type negotiation struct {
	version                    uint16
	suite                      handshake.Suite
	clientRandom, serverRandom [32]byte
	hasClient, hasServer       bool
}

// supported reports whether records of this suite can be opened. Valid iff hasServer.
func (n *negotiation) supported() bool {
	return n.suite.AEAD != handshake.NoAEAD &&
		(n.version == handshake.TLS13 && n.suite.TLS13 || n.version == handshake.TLS12 && !n.suite.TLS13)
}

// protection derives the keys of one direction from a secret: a traffic secret of TLS 1.3, or the master secret of TLS 1.2.
// It returns nil for a secret that cannot be one.
func (n *negotiation) protection(dir flow.Direction, secret SecretBytes) *protection {
	if allZero(secret) {
		return nil
	}
	if n.suite.TLS13 {
		if len(secret) != n.suite.Hash.Size() {
			return nil
		}
		return n.protection13(secret)
	}
	if len(secret) != masterLen {
		return nil
	}
	return n.protection12(dir, secret)
}

// protection13 derives the key and the IV of a traffic secret (RFC 8446 §7.3).
func (n *negotiation) protection13(secret SecretBytes) *protection {
	key := expandLabel(n.suite.Hash, secret, "key", n.suite.AEAD.KeyLen())
	iv := expandLabel(n.suite.Hash, secret, "iv", nonceLen)
	p, err := newProtection(n.suite, key, iv)
	if err != nil {
		return nil
	}
	return p
}

// protection12 cuts the key block (RFC 5246 §6.3): AEAD suites have no MAC keys.
func (n *negotiation) protection12(dir flow.Direction, master SecretBytes) *protection {
	keyLen, ivLen := n.suite.AEAD.KeyLen(), n.suite.FixedIVLen()
	seed := make([]byte, 0, len("key expansion")+64)
	seed = append(seed, "key expansion"...)
	seed = append(seed, n.serverRandom[:]...)
	seed = append(seed, n.clientRandom[:]...)
	block := pseudoRandom(n.suite.Hash, master, seed, 2*(keyLen+ivLen))
	keys, ivs := block[:2*keyLen], block[2*keyLen:] // the client's before the server's
	if dir == flow.ToClient {
		keys, ivs = keys[keyLen:], ivs[ivLen:]
	}
	p, err := newProtection(n.suite, keys[:keyLen], ivs[:ivLen])
	if err != nil {
		return nil
	}
	return p
}

// nextSecret is the traffic secret after a KeyUpdate (RFC 8446 §7.2).
func (n *negotiation) nextSecret(secret SecretBytes) SecretBytes {
	return expandLabel(n.suite.Hash, secret, "traffic upd", n.suite.Hash.Size())
}

// expandLabel is HKDF-Expand-Label of RFC 8446 §7.1 with an empty context.
func expandLabel(h crypto.Hash, secret []byte, label string, n int) []byte {
	info := make([]byte, 0, 32)
	info = binary.BigEndian.AppendUint16(info, uint16(n))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(info, "tls13 "...)
	info = append(info, label...)
	info = append(info, 0)
	out, err := hkdf.Expand(newHash(h), secret, string(info), n)
	if err != nil {
		return nil // n is never beyond 255 hashes: the keys then fail to be made
	}
	return out
}

// pseudoRandom is the PRF of TLS 1.2 (RFC 5246 §5); seed begins with the label.
func pseudoRandom(h crypto.Hash, secret, seed []byte, n int) []byte {
	mac := hmac.New(newHash(h), secret)
	mac.Write(seed)
	a := mac.Sum(nil)
	var out []byte
	for len(out) < n {
		mac.Reset()
		mac.Write(a)
		mac.Write(seed)
		out = mac.Sum(out)
		mac.Reset()
		mac.Write(a)
		a = mac.Sum(a[:0])
	}
	return out[:n]
}

// newHash returns the constructor of a suite's hash: SHA-384, or SHA-256 (RFC 5246 §5, RFC 8446 §B.4).
func newHash(h crypto.Hash) func() hash.Hash {
	if h == crypto.SHA384 {
		return sha512.New384
	}
	return sha256.New
}

// allZero reports whether a secret is one of those that key taps write before they know better.
func allZero(secret SecretBytes) bool {
	for _, c := range secret {
		if c != 0 {
			return false
		}
	}
	return true
}
