package origin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// FuzzList reads lists that the signature does not protect yet: the extension that says what a list is about, and lists as a whole.
func FuzzList(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "Root"}, SubjectKeyId: []byte{1}, PublicKey: key.Public(), KeyUsage: x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true}
	now := time.Now()
	text, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour), RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(7), RevocationTime: now}},
	}, issuer, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, []byte{0x30, 3, 0x82, 1, 0xff})
	f.Add([]byte("nonsense"), []byte{0x30, 0})
	c := &x509.Certificate{SerialNumber: big.NewInt(7)}
	f.Fuzz(func(t *testing.T, whole, extension []byte) {
		if l, _, err := parseList(whole, issuer, now); err == nil && l.covers(c, "http://x/") {
			l.status(c)
		}
		var l list
		if err := l.extend([]pkix.Extension{{Id: oidDistributionPoint, Critical: true, Value: extension}}); err == nil && l.point.Indirect {
			t.Errorf("an indirect list was taken: %x", extension)
		}
	})
}
