package origin_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway/origin"
)

var now = time.Now()

type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// issue makes a certificate, signed by the parent or, if that is nil, by itself.
func issue(t testing.TB, parent *identity, change func(*x509.Certificate)) *identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issueFor(t, key, parent, change)
}

func issueFor(t testing.TB, key crypto.Signer, parent *identity, change func(*x509.Certificate)) *identity {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), BasicConstraintsValid: true}
	change(c)
	by := &identity{c, key}
	if parent != nil {
		by = parent
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{cert, key}
}

func ca(name string, more ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.KeyUsage = pkix.Name{CommonName: name}, true, x509.KeyUsageCertSign
		for _, m := range more {
			m(c)
		}
	}
}

func server(more ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject, c.DNSNames, c.IPAddresses = pkix.Name{CommonName: "shop.example"}, []string{"shop.example", "*.w.example"}, []net.IP{net.IPv4(192, 0, 2, 7)}
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		for _, m := range more {
			m(c)
		}
	}
}

func expired(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }
func tomorrow(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = now.Add(time.Minute), now.Add(2*time.Hour)
}
func forClients(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
func usage(u x509.KeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.KeyUsage = u }
}
func stapled(c *x509.Certificate) {
	c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}}}
}

func TestJudge(t *testing.T) {
	root := issue(t, nil, ca("Root"))
	sub := issue(t, root, ca("Sub"))
	stranger := issue(t, nil, ca("Stranger"))
	oldSub := issue(t, root, ca("Old", expired))
	noCA := issue(t, root, server())
	limited := issue(t, root, ca("Limited", func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"other.example"}, true
	}))
	forMail := issue(t, root, ca("Mail", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} }))
	roots := x509.NewCertPool()
	roots.AddCert(root.cert)
	judge := origin.NewJudge(roots)
	chain := func(parents []*identity, change func(*x509.Certificate)) []*x509.Certificate {
		leaf := issue(t, parents[0], change)
		out := []*x509.Certificate{leaf.cert}
		for _, p := range parents {
			if p != nil && p != root {
				out = append(out, p.cert)
			}
		}
		return out
	}
	alone := []*identity{nil}
	for _, tt := range []struct {
		name  string
		chain []*x509.Certificate
		host  string
		want  flow.Fault
	}{
		{"good", chain([]*identity{root}, server()), "shop.example", ""},
		{"good, by a sub-CA", chain([]*identity{sub}, server()), "shop.example", ""},
		{"good, with the root", append(chain([]*identity{sub}, server()), root.cert), "SHOP.example", ""},
		{"good, in wrong order", append(chain([]*identity{root}, server()), stranger.cert), "shop.example", ""},
		{"wildcard", chain([]*identity{root}, server()), "a.w.example", ""},
		{"address", chain([]*identity{root}, server()), "192.0.2.7", ""},
		{"no name asked for", chain([]*identity{root}, server()), "", ""},
		{"wrong name", chain([]*identity{root}, server()), "bank.example", flow.WrongName},
		{"too deep for the wildcard", chain([]*identity{root}, server()), "a.b.w.example", flow.WrongName},
		{"wrong address", chain([]*identity{root}, server()), "192.0.2.8", flow.WrongName},
		{"name in the subject alone", chain([]*identity{root}, server(func(c *x509.Certificate) { c.DNSNames = nil })), "shop.example", flow.WrongName},
		{"expired", chain([]*identity{sub}, server(expired)), "shop.example", flow.Expired},
		{"not valid yet", chain([]*identity{root}, server(tomorrow)), "shop.example", flow.NotYetValid},
		{"expired, of a stranger", chain([]*identity{stranger}, server(expired)), "shop.example", flow.Untrusted},
		{"self-signed", chain(alone, server()), "shop.example", flow.SelfSigned},
		{"self-signed and expired", chain(alone, server(expired)), "shop.example", flow.SelfSigned},
		{"of a stranger", chain([]*identity{stranger}, server()), "shop.example", flow.Untrusted},
		{"incomplete chain", chain([]*identity{sub}, server())[:1], "shop.example", flow.Untrusted},
		{"expired sub-CA", chain([]*identity{oldSub}, server()), "shop.example", flow.Untrusted},
		{"issued by a server", chain([]*identity{noCA}, server()), "shop.example", flow.Untrusted},
		{"outside name constraints", chain([]*identity{limited}, server()), "shop.example", flow.Untrusted},
		{"for clients", chain([]*identity{root}, server(forClients)), "shop.example", flow.WrongUsage},
		{"for clients, of a stranger", chain([]*identity{stranger}, server(forClients)), "shop.example", flow.Untrusted},
		{"for clients, by a sub-CA for mail", chain([]*identity{forMail}, server(forClients)), "shop.example", flow.WrongUsage},
		{"by a sub-CA for mail", chain([]*identity{forMail}, server()), "shop.example", flow.Untrusted},
		{"for mail, but its usage is not told", chain([]*identity{forMail}, server(func(c *x509.Certificate) { c.ExtKeyUsage = nil })), "shop.example", flow.Untrusted},
		{"key for lists of revoked ones", chain([]*identity{root}, server(usage(x509.KeyUsageCRLSign))), "shop.example", flow.Untrusted},
		{"key for certificates", chain([]*identity{root}, server(usage(x509.KeyUsageCertSign))), "shop.example", flow.Untrusted},
		{"key for anything", chain([]*identity{root}, server(usage(0))), "shop.example", ""},
		{"key for agreement", chain([]*identity{root}, server(usage(x509.KeyUsageKeyAgreement))), "shop.example", ""},
		{"without its staple", chain([]*identity{root}, server(stapled)), "shop.example", flow.NoStaple},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // the second time it is known
				if got := judge.Judge(tt.chain, tt.host, nil, now); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			}
		})
	}
}

// TestShortKeys has RSA keys of half the length in each place of a chain. One chain without is enough.
func TestShortKeys(t *testing.T) {
	short, long := newRSA(t, 1024), newRSA(t, 2048)
	old := issueFor(t, short, nil, ca("Old Root"))
	root := issueFor(t, long, nil, ca("Root"))
	roots := x509.NewCertPool()
	roots.AddCert(old.cert)
	roots.AddCert(root.cert)
	weak := issueFor(t, short, root, ca("Weak Sub"))
	under := issue(t, weak, server()).cert
	cross := issueFor(t, short, nil, ca("Weak Sub")) // trusted for itself: a root
	for name, tt := range map[string]struct {
		chain []*x509.Certificate
		more  *identity // another root
		want  flow.Fault
	}{
		"leaf":                       {[]*x509.Certificate{issueFor(t, short, root, server()).cert}, nil, flow.Untrusted},
		"sub-CA":                     {[]*x509.Certificate{under, weak.cert}, nil, flow.Untrusted},
		"sub-CA that is also a root": {[]*x509.Certificate{under, weak.cert}, cross, ""},
		"root":                       {[]*x509.Certificate{issue(t, old, server()).cert}, nil, ""},
		"none":                       {[]*x509.Certificate{issueFor(t, long, root, server()).cert}, nil, ""},
	} {
		trusted := roots.Clone()
		if tt.more != nil {
			trusted.AddCert(tt.more.cert)
		}
		if got := origin.NewJudge(trusted).Judge(tt.chain, "shop.example", nil, now); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func newRSA(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestStaples(t *testing.T) {
	root := issue(t, nil, ca("Root"))
	roots := x509.NewCertPool()
	roots.AddCert(root.cert)
	leaf, must := issue(t, root, server()), issue(t, root, server(stapled))
	staple := func(of *identity, status int, from, to time.Time) []byte {
		r, err := ocsp.CreateResponse(root.cert, root.cert, ocsp.Response{Status: status, SerialNumber: of.cert.SerialNumber, ThisUpdate: from, NextUpdate: to, RevokedAt: from}, root.key)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	before, after := now.Add(-time.Hour), now.Add(time.Hour)
	other := issue(t, nil, ca("Root"))
	forged, err := ocsp.CreateResponse(other.cert, other.cert, ocsp.Response{Status: ocsp.Good, SerialNumber: big.NewInt(7), ThisUpdate: before, NextUpdate: after}, other.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		leaf   *identity
		staple []byte
		want   flow.Fault
	}{
		{"good", leaf, staple(leaf, ocsp.Good, before, after), ""},
		{"revoked", leaf, staple(leaf, ocsp.Revoked, before, after), flow.Revoked},
		{"nonsense", leaf, []byte("nonsense"), ""},
		{"demanded and good", must, staple(must, ocsp.Good, before, after), ""},
		{"demanded and revoked", must, staple(must, ocsp.Revoked, before, after), flow.Revoked},
		{"demanded and unknown", must, staple(must, ocsp.Unknown, before, after), flow.NoStaple},
		{"demanded and old", must, staple(must, ocsp.Good, before, now.Add(-time.Minute)), flow.NoStaple},
		{"demanded and of a clock that is ahead", must, staple(must, ocsp.Good, now.Add(time.Minute), after), ""},
		{"demanded and of tomorrow", must, staple(must, ocsp.Good, now.Add(time.Hour/2), after), flow.NoStaple},
		{"demanded and forged", must, forged, flow.NoStaple},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := origin.NewJudge(roots).Judge([]*x509.Certificate{tt.leaf.cert}, "shop.example", tt.staple, now); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestJudgementsExpire has a certificate expire after it was judged.
func TestJudgementsExpire(t *testing.T) {
	root := issue(t, nil, ca("Root"))
	roots := x509.NewCertPool()
	roots.AddCert(root.cert)
	judge, leaf := origin.NewJudge(roots), issue(t, root, server())
	for _, tt := range []struct {
		after time.Duration
		want  flow.Fault
	}{{0, ""}, {time.Hour + 2*time.Minute, flow.Expired}} {
		if got := judge.Judge([]*x509.Certificate{leaf.cert}, "shop.example", nil, now.Add(tt.after)); got != tt.want {
			t.Errorf("after %s: %q, want %q", tt.after, got, tt.want)
		}
	}
}
