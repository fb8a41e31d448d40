package authority_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
)

// origin is a server's certificate, with everything that a public authority puts into one.
func origin(t testing.TB, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	return issue(t, root(t), newRSA(t), func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "shop.example", Organization: []string{"Shop"}}
		c.DNSNames, c.IPAddresses = []string{"shop.example", "*.shop.example"}, []net.IP{net.IPv4(192, 0, 2, 7).To4()}
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "shop"}}
		c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		c.OCSPServer, c.IssuingCertificateURL, c.CRLDistributionPoints = []string{"http://ocsp.example"}, []string{"http://ca.example"}, []string{"http://crl.example"}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: []byte{4, 0}}} // SCTs
		change(c)
	}).cert
}

func newMint(t testing.TB, chain ...*issued) *authority.Mint {
	t.Helper()
	m, err := authority.NewMint(newAuthority(t, chain...), authority.DefaultCache, now)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func leaf(t testing.TB, m *authority.Mint, o *x509.Certificate, fault flow.Fault, key authority.KeyType) *tls.Certificate {
	t.Helper()
	c, err := m.Leaf(o, fault, key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// verify is what a careful client that trusts the authority finds.
func verify(trusted *issued, c *tls.Certificate, name string) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(trusted.cert)
	for _, der := range c.Certificate[1:] {
		if i, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(i)
		}
	}
	_, err := c.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: name, CurrentTime: now})
	return err
}

func TestLeafMimicsTheOrigin(t *testing.T) {
	top := root(t)
	sub := issue(t, top, newECDSA(t, elliptic.P256()), func(c *x509.Certificate) { c.Subject.CommonName, c.SubjectKeyId = "Sub", []byte{1, 2, 3} })
	m, o := newMint(t, sub, top), origin(t, same)
	for kind, wantKey := range map[authority.KeyType]crypto.PublicKey{authority.ECDSA: new(ecdsa.PublicKey), authority.RSA: new(rsa.PublicKey)} {
		c := leaf(t, m, o, flow.NoFault, kind)
		l := c.Leaf
		for _, name := range []string{"shop.example", "a.shop.example", "192.0.2.7"} {
			if err := verify(top, c, name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		type facts struct {
			Subject         string
			Names           []string
			From, To        time.Time
			Usages          []x509.ExtKeyUsage
			CA, Constrained bool
		}
		of := func(c *x509.Certificate) facts {
			return facts{c.Subject.String(), append(c.DNSNames, c.IPAddresses[0].String(), c.URIs[0].String()), c.NotBefore, c.NotAfter, c.ExtKeyUsage, c.IsCA, c.BasicConstraintsValid}
		}
		if diff := cmp.Diff(of(o), of(l)); diff != "" {
			t.Errorf("-origin +leaf:\n%s", diff)
		}
		if len(l.OCSPServer)+len(l.IssuingCertificateURL)+len(l.CRLDistributionPoints) > 0 || hasExtension(l, "1.3.6.1.4.1.11129.2.4.2") {
			t.Errorf("the leaf points to the origin's authority: %v", l.Extensions)
		}
		if !bytes.Equal(l.AuthorityKeyId, sub.cert.SubjectKeyId) || len(l.SubjectKeyId) > 0 {
			t.Errorf("authority key id %x, want %x; subject key id %x, want none", l.AuthorityKeyId, sub.cert.SubjectKeyId, l.SubjectKeyId)
		}
		if l.SerialNumber.Cmp(o.SerialNumber) == 0 {
			t.Error("the leaf has the origin's serial number")
		}
		if got := l.PublicKey; !sameType(got, wantKey) || sameKey(got, sub.cert.PublicKey) || sameKey(got, o.PublicKey) {
			t.Errorf("the leaf's key is %T", got)
		}
		if len(c.Certificate) != 2 || !bytes.Equal(c.Certificate[1], sub.cert.Raw) {
			t.Errorf("%d certificates are sent, want the leaf and its issuer", len(c.Certificate))
		}
	}
}

func hasExtension(c *x509.Certificate, id string) bool {
	for _, e := range c.Extensions {
		if e.Id.String() == id {
			return true
		}
	}
	return false
}

func sameType(a, b crypto.PublicKey) bool {
	_, x := a.(*rsa.PublicKey)
	_, y := b.(*rsa.PublicKey)
	return x == y
}

func sameKey(a, b crypto.PublicKey) bool {
	return a.(interface{ Equal(crypto.PublicKey) bool }).Equal(b)
}

// TestBadOriginsStayBad checks that no fault of an origin is gone in its leaf, whichever key it has.
func TestBadOriginsStayBad(t *testing.T) {
	top := root(t)
	m := newMint(t, top)
	for _, tt := range []struct {
		fault  flow.Fault
		change func(*x509.Certificate)
		name   string
		want   string
	}{
		{flow.NoFault, same, "shop.example", ""},
		{flow.Expired, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }, "shop.example", "expired or is not yet valid"},
		{flow.NotYetValid, func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) }, "shop.example", "expired or is not yet valid"},
		{flow.WrongName, same, "bank.example", "not bank.example"},
		{flow.WrongUsage, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, "shop.example", "incompatible key usage"},
		{flow.SelfSigned, same, "shop.example", "unknown authority"},
		{flow.Untrusted, same, "shop.example", "unknown authority"},
		{flow.Revoked, same, "shop.example", "unknown authority"},
		{flow.NoStaple, same, "shop.example", "unknown authority"},
		{flow.Untrusted, func(c *x509.Certificate) { c.Subject = top.cert.Subject }, "shop.example", "unknown authority"},
		{flow.SelfSigned, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }, "shop.example", "unknown authority"},
	} {
		for _, key := range []authority.KeyType{authority.ECDSA, authority.RSA} {
			c := leaf(t, m, origin(t, tt.change), tt.fault, key)
			err := verify(top, c, tt.name)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%q: a client finds %v, want %q", tt.fault, err, tt.want)
			}
			if self := bytes.Equal(c.Leaf.RawIssuer, c.Leaf.RawSubject) && c.Leaf.CheckSignature(c.Leaf.SignatureAlgorithm, c.Leaf.RawTBSCertificate, c.Leaf.Signature) == nil; self != (tt.fault == flow.SelfSigned) {
				t.Errorf("%q: self-signed is %t", tt.fault, self)
			}
			if c.Leaf.IsCA {
				t.Errorf("%q: the leaf is an authority", tt.fault)
			}
		}
	}
}

func TestLeafEndsWithItsAuthority(t *testing.T) {
	top := root(t)
	o := origin(t, func(c *x509.Certificate) { c.NotAfter = now.Add(9000 * time.Hour) })
	if c := leaf(t, newMint(t, top), o, flow.NoFault, authority.ECDSA); !c.Leaf.NotAfter.Equal(top.cert.NotAfter) {
		t.Errorf("valid until %s, the authority until %s", c.Leaf.NotAfter, top.cert.NotAfter)
	}
}

func TestLeavesAreRemembered(t *testing.T) {
	top := root(t)
	a := newAuthority(t, top)
	o := origin(t, same)
	m, err := authority.NewMint(a, 3*(3*len(o.Raw)+3<<10), now)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	leaves := make([]*tls.Certificate, 50)
	for i := range leaves {
		wg.Go(func() { leaves[i], _ = m.Leaf(o, flow.NoFault, authority.ECDSA) })
	}
	wg.Wait()
	for _, l := range leaves {
		if l == nil || l != leaves[0] {
			t.Fatal("one origin has several leaves")
		}
	}
	if leaf(t, m, o, flow.Expired, authority.ECDSA) == leaves[0] || leaf(t, m, o, flow.NoFault, authority.RSA) == leaves[0] {
		t.Error("another verdict or key gives the same leaf")
	}
	for range 5 { // others push it out
		leaf(t, m, origin(t, same), flow.NoFault, authority.ECDSA)
	}
	if leaf(t, m, o, flow.NoFault, authority.ECDSA) == leaves[0] {
		t.Error("the limit of memory does not hold")
	}
}

// brokenSigner fails as often as it is told.
type brokenSigner struct {
	crypto.Signer
	failures int
}

func (b *brokenSigner) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if b.failures--; b.failures >= 0 {
		return nil, errors.New("the module is not there")
	}
	return b.Signer.Sign(r, digest, o)
}

// TestFailureIsNotRemembered has a key, as one in a hardware module, fail once.
func TestFailureIsNotRemembered(t *testing.T) {
	top := root(t)
	a, err := authority.New([]*x509.Certificate{top.cert}, &brokenSigner{top.key, 1}, now)
	if err != nil {
		t.Fatal(err)
	}
	m, err := authority.NewMint(a, authority.DefaultCache, now)
	if err != nil {
		t.Fatal(err)
	}
	o := origin(t, same)
	_, err = m.Leaf(o, flow.NoFault, authority.ECDSA)
	checkError(t, err, "sign the leaf: the module is not there")
	if err := verify(top, leaf(t, m, o, flow.NoFault, authority.ECDSA), "shop.example"); err != nil {
		t.Error(err)
	}
}

// TestOpenSSLAcceptsLeaves has OpenSSL judge, which is stricter with key identifiers.
func TestOpenSSLAcceptsLeaves(t *testing.T) {
	top := root(t)
	sub := issue(t, top, newRSA(t), func(c *x509.Certificate) { c.Subject.CommonName = "Sub" })
	dir := t.TempDir()
	for _, key := range []authority.KeyType{authority.ECDSA, authority.RSA} {
		c := leaf(t, newMint(t, sub, top), origin(t, same), flow.NoFault, key)
		write(t, dir, "root.pem", inPEM(top), 0o600)
		write(t, dir, "sub.pem", inPEM(sub), 0o600)
		write(t, dir, "leaf.pem", inPEM(&issued{cert: c.Leaf}), 0o600)
		out := openssl(t, dir, "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "shop.example", "-CAfile", "root.pem", "-untrusted", "sub.pem", "leaf.pem")
		if !strings.Contains(out, "leaf.pem: OK") {
			t.Error(out)
		}
	}
}
