package handshake

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"
)

func newCertificate(t testing.TB, serial int64, names int) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "a", Organization: []string{"B, C"}},
		NotBefore: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), NotAfter: time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC),
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}, URIs: []*url.URL{{Scheme: "spiffe", Host: "x"}},
	}
	for i := range names {
		template.DNSNames = append(template.DNSNames, fmt.Sprintf("%d.example", i))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestCertificateFacts(t *testing.T) {
	der := newCertificate(t, 0x0102ab, 1)
	got := NewCertificates(1).Facts(der)
	sum := sha256.Sum256(der)
	if got.Subject != `CN=a,O=B\, C` || got.Issuer != got.Subject || got.Serial != "01:02:AB" || got.SHA256 != hex.EncodeToString(sum[:]) ||
		len(got.SHA1) != 59 || fmt.Sprint(got.Names) != "[0.example 192.0.2.1 spiffe://x]" || got.NotBefore.Year() != 2020 || got.NotAfter.Year() != 2049 {
		t.Errorf("got %+v", got)
	}
	if got := NewCertificates(1).Facts(newCertificate(t, 1, 400)); len(got.Names) != maxNames {
		t.Errorf("%d names", len(got.Names))
	}
	if got := NewCertificates(1).Facts([]byte("nonsense")); got.SHA256 == "" || got.Subject != "" {
		t.Errorf("nonsense: got %+v", got)
	}
}

func TestCertificatesAreRememberedWithinBounds(t *testing.T) {
	c := NewCertificates(2)
	a, b, d := newCertificate(t, 1, 0), newCertificate(t, 2, 0), newCertificate(t, 3, 0)
	first := c.Facts(a)
	c.Facts(b)
	if c.Facts(a) != first {
		t.Error("not remembered")
	}
	c.Facts(d) // b was used least recently
	if c.Facts(a) != first {
		t.Error("forgotten, though just used")
	}
	if len(c.byKey) != 2 || c.order.Len() != 2 {
		t.Errorf("%d certificates are kept", len(c.byKey))
	}
}

func TestCertificateMessages(t *testing.T) {
	leaf, issuer := []byte("leaf"), []byte("issuer")
	old := prefixed(3, append(prefixed(3, leaf), prefixed(3, issuer)...))
	var list []byte
	for _, cert := range [][]byte{leaf, issuer} {
		list = append(append(list, prefixed(3, cert)...), 0, 0) // no extensions
	}
	for name, c := range map[string]struct {
		body    []byte
		version uint16
		want    string
		fails   bool
	}{
		"TLS 1.2":          {old, TLS12, "leaf", false},
		"TLS 1.3":          {append([]byte{0}, prefixed(3, list)...), TLS13, "leaf", false},
		"TLS 1.3, context": {append(prefixed(1, []byte("ctx")), prefixed(3, list)...), TLS13, "leaf", false},
		"no certificate":   {[]byte{0, 0, 0}, TLS12, "", false},
		"cut":              {old[:6], TLS12, "", true},
		"empty":            {nil, TLS12, "", true},
	} {
		got, err := ParseCertificate(c.body, c.version)
		if string(got) != c.want || (err != nil) != c.fails {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func BenchmarkCertificates(b *testing.B) {
	der := newCertificate(b, 1, 10)
	c := NewCertificates(10)
	for b.Loop() {
		c.Facts(der)
	}
}
