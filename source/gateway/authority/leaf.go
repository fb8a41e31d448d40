package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

// KeyType is the kind of a leaf's key.
type KeyType uint8

const (
	ECDSA KeyType = iota // P-256: thirty times cheaper, and what every client of today takes
	RSA                  // 2,048 bits, for clients that know nothing else
)

// Mint makes leaves for the certificates of origins, and remembers the latest. It is safe for concurrent use.
type Mint struct {
	authority *Authority
	untrusted *Authority
	rsaKey    func() (*rsa.PrivateKey, error) // one for all leaves: making one takes long
	cache     cache
}

// DefaultCache is right for NewMint: some ten thousand leaves.
const DefaultCache = 32 << 20

// NewMint returns a Mint that keeps leaves in as many bytes of memory.
func NewMint(a *Authority, memory int, now time.Time) (*Mint, error) {
	untrusted, err := newUntrusted(now)
	if err != nil {
		return nil, err
	}
	m := &Mint{authority: a, untrusted: untrusted, cache: newCache(memory)}
	m.rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, minRSA) })
	return m, nil
}

// Leaf returns a certificate that looks to clients as the origin's does: a good one is signed by the authority; one with a
// fault of its own, such as its dates, is too and has that fault; one that nobody should trust is signed by who nobody trusts.
func (m *Mint) Leaf(origin *x509.Certificate, fault flow.Fault, t KeyType) (*tls.Certificate, error) {
	key := leafKey{sha256.Sum256(origin.Raw), fault, t}
	return m.cache.get(key, len(origin.Raw), func() (*tls.Certificate, error) { return m.make(origin, fault, t) })
}

func (m *Mint) make(origin *x509.Certificate, fault flow.Fault, t KeyType) (*tls.Certificate, error) {
	key, err := m.newKey(t)
	if err != nil {
		return nil, fmt.Errorf("make the leaf's key: %w", err)
	}
	template := mimic(origin, t)
	parent, signer, sent := m.issuer(template, fault, key)
	if end := parent.NotAfter; end.Before(template.NotAfter) && fault == flow.NoFault {
		template.NotAfter = end
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("sign the leaf: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the leaf: %w", err)
	}
	return &tls.Certificate{Certificate: append([][]byte{der}, sent...), PrivateKey: key, Leaf: leaf}, nil
}

func (m *Mint) newKey(t KeyType) (crypto.Signer, error) {
	if t == RSA {
		return m.rsaKey()
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// issuer chooses who signs, by what a client must see. Dates, names and usages are faults that the leaf itself shows; for the
// others the signature has to.
func (m *Mint) issuer(template *x509.Certificate, fault flow.Fault, key crypto.Signer) (parent *x509.Certificate, signer crypto.Signer, sent [][]byte) {
	a := m.untrusted
	switch fault {
	case flow.SelfSigned:
		return template, key, nil
	case flow.NoFault, flow.Expired, flow.NotYetValid, flow.WrongName, flow.WrongUsage:
		a = m.authority
	}
	return a.Certificate(), a.signer, a.sent()
}

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// mimic says what the origin's certificate says: names, dates and usages. What points to its issuer's services stays away,
// since they know nothing of the leaf. It is never an authority.
func mimic(origin *x509.Certificate, t KeyType) *x509.Certificate {
	leaf := &x509.Certificate{
		RawSubject: origin.RawSubject, NotBefore: origin.NotBefore, NotAfter: origin.NotAfter,
		KeyUsage:    keyUsage(origin.KeyUsage, t),
		ExtKeyUsage: origin.ExtKeyUsage, UnknownExtKeyUsage: origin.UnknownExtKeyUsage,
		BasicConstraintsValid: origin.BasicConstraintsValid,
	}
	for _, e := range origin.Extensions {
		if e.Id.Equal(oidSubjectAltName) { // as it was sent: what cannot be read must not be lost
			leaf.ExtraExtensions = []pkix.Extension{e}
		}
	}
	return leaf
}

// keyUsage translates the origin's to the leaf's kind of key. No usage at all means any.
func keyUsage(origin x509.KeyUsage, t KeyType) x509.KeyUsage {
	const handshakes = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement
	switch {
	case origin&handshakes == 0: // any, or none that is of use: then the signature shows the fault, since what stays may be any
		return origin &^ (x509.KeyUsageCertSign | x509.KeyUsageCRLSign)
	case t == RSA:
		return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	}
	return x509.KeyUsageDigitalSignature
}
