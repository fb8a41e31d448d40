package handshake

import (
	"container/list"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/vitrine-ndr/vitrine/flow"
)

const maxNames = 256 // subject alternative names that a flow.Certificate keeps

// ParseCertificate returns the leaf of the chain in the body of a Certificate message in DER form, part of body, in the
// form of TLS 1.3 (RFC 8446 §4.4.2) or of the versions before (RFC 5246 §7.4.2). An empty chain has no leaf.
func ParseCertificate(body []byte, version uint16) ([]byte, error) {
	r := reader{b: body}
	if version >= TLS13 {
		r.vector(1) // request context
	}
	chain := r.sub(3)
	if chain.empty() {
		return nil, chain.err()
	}
	leaf := chain.vector(3)
	return leaf, chain.err()
}

// Certificates turns certificates into facts and remembers the latest, since few servers serve most connections.
// It is safe for concurrent use.
type Certificates struct {
	mu    sync.Mutex
	limit int
	byKey map[[sha256.Size]byte]*list.Element
	order *list.List // of *knownCertificate, the latest used first
}

type knownCertificate struct {
	key   [sha256.Size]byte
	facts *flow.Certificate // shared by all connections: never changed
}

// NewCertificates returns a memory of as many certificates as limit says.
func NewCertificates(limit int) *Certificates {
	return &Certificates{limit: limit, byKey: make(map[[sha256.Size]byte]*list.Element), order: list.New()}
}

// Facts returns what a certificate in DER form says, to be read only. One that cannot be parsed has its hashes alone.
func (c *Certificates) Facts(der []byte) *flow.Certificate {
	key := sha256.Sum256(der)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[key]; e != nil {
		c.order.MoveToFront(e)
		return e.Value.(*knownCertificate).facts
	}
	facts := parseFacts(der, key)
	c.byKey[key] = c.order.PushFront(&knownCertificate{key, facts})
	if c.order.Len() > c.limit {
		oldest := c.order.Remove(c.order.Back()).(*knownCertificate)
		delete(c.byKey, oldest.key)
	}
	return facts
}

// parseFacts reads a certificate without judging it: whether it is valid is no matter of decryption.
func parseFacts(der []byte, sum [sha256.Size]byte) *flow.Certificate {
	sha1Sum := sha1.Sum(der)
	facts := &flow.Certificate{SHA256: hex.EncodeToString(sum[:]), SHA1: colonHex(sha1Sum[:])}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return facts
	}
	facts.Subject, facts.Issuer = cert.Subject.String(), cert.Issuer.String()
	if cert.SerialNumber != nil {
		facts.Serial = strings.ToUpper(colonHex(cert.SerialNumber.Bytes()))
	}
	facts.NotBefore, facts.NotAfter = cert.NotBefore.UTC(), cert.NotAfter.UTC()
	facts.Names = append(facts.Names, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		facts.Names = append(facts.Names, ip.String())
	}
	facts.Names = append(facts.Names, cert.EmailAddresses...)
	for _, u := range cert.URIs {
		facts.Names = append(facts.Names, u.String())
	}
	facts.Names = facts.Names[:min(len(facts.Names), maxNames)]
	return facts
}

// colonHex returns the bytes as lower-case hexadecimal with colons between them.
func colonHex(b []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% x", b), " ", ":")
}
