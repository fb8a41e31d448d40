package authority_test

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
)

func TestReadChain(t *testing.T) {
	top := root(t)
	sub := issue(t, top, newECDSA(t, elliptic.P256()), func(c *x509.Certificate) { c.Subject.CommonName = "Sub" })
	for _, tt := range []struct {
		name string
		text []byte
		want string // empty: the root comes last
		n    int
	}{
		{"PEM", inPEM(top), "", 1},
		{"DER", top.cert.Raw, "", 1},
		{"the root last", inPEM(sub, top), "", 2},
		{"the root first", inPEM(top, sub), "", 2},
		{"no root", inPEM(sub), `is no root, since "CN=Root" issued it`, 0},
		{"two roots", inPEM(top, root(t)), "2 roots", 0},
		{"many", inPEM(sub, sub, sub, sub, sub, sub, sub, sub, top), "more than 8 certificates", 0},
		{"nothing", nil, "no certificate in PEM or DER", 0},
		{"something else", []byte("hello"), "no certificate in PEM or DER", 0},
		{"a broken one", []byte(strings.Replace(string(inPEM(top)), "MII", "AII", 1)), "read certificate", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			chain, err := authority.ReadChain(tt.text)
			checkError(t, err, tt.want)
			if err == nil && (len(chain) != tt.n || !chain[tt.n-1].Equal(top.cert)) {
				t.Errorf("got %d certificates, of which the last is %s", len(chain), chain[len(chain)-1].Subject)
			}
		})
	}
}

func TestCheckRoot(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p256 := newECDSA(t, elliptic.P256())
	forged := issue(t, &issued{&x509.Certificate{Subject: issue(t, nil, p256, same).cert.Subject}, newECDSA(t, elliptic.P256())}, p256, same)
	for _, tt := range []struct {
		name string
		cert *x509.Certificate
		want string
	}{
		{"good", root(t).cert, ""},
		{"a server's", issue(t, nil, p256, func(c *x509.Certificate) { c.IsCA = false }).cert, "is not that of an authority"},
		{"expired", issue(t, nil, p256, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }).cert, "has expired on"},
		{"weak", issue(t, nil, short, same).cert, "RSA key of 1024 bits"},
		{"signed by another key", forged.cert, "verification failure"},
	} {
		t.Run(tt.name, func(t *testing.T) { checkError(t, authority.CheckRoot(tt.cert, now), tt.want) })
	}
}
