package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
	"github.com/vitrine-ndr/vitrine/source/gateway/identity"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// certify makes a certificate that issues itself, and its key.
func certify(t *testing.T, end time.Time) (der []byte, key crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x.example"}, DNSNames: []string{"x.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: end}
	der, err = x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	check(t, err)
	return der, key
}

// set has one identity for x.example, for clients in 10.0.0.0/8.
func set(t *testing.T, end time.Time) (*identity.Set, error) {
	t.Helper()
	der, key := certify(t, end)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "c.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "k.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return identity.Open([]identity.Config{{
		Grant:       policy.Grant{ID: "x", Names: []string{"x.example"}, Sources: []policy.Addresses{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}},
		Certificate: filepath.Join(dir, "c.pem"), Key: token.Place(filepath.Join(dir, "k.pem")),
	}}, "", time.Now())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	end := time.Now().Add(time.Hour)
	s, err := set(t, end)
	check(t, err)
	insider, outsider := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("192.0.2.1")
	if i := s.Find("x.example", insider, time.Now()); i == nil || i.ID != "x" || i.Subject() != "CN=x.example" || i.Expires().Unix() != end.Unix() {
		t.Errorf("found %+v", i)
	}
	if s.Find("x.example", outsider, time.Now()) != nil || s.Find("y.example", insider, time.Now()) != nil || s.Find("", insider, time.Now()) != nil {
		t.Error("found for who may not use it")
	}
	if s.Find("x.example", insider, end.Add(time.Second)) != nil {
		t.Error("found when it has expired")
	}
	if (*identity.Set)(nil).Find("x.example", insider, time.Now()) != nil {
		t.Error("found where there is none")
	}
	if _, err := set(t, time.Now().Add(-time.Minute)); err == nil || !strings.Contains(err.Error(), `identity "x": certificate`) || !strings.Contains(err.Error(), "has expired on") {
		t.Errorf("an expired one: %v", err)
	}
}

// meet has a gateway shake hands with an origin that asks for a certificate, and returns whom the origin sees.
func meet(t *testing.T, origin *tls.Config, use *identity.Use, version uint16) (who string, resumed bool, err error) {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	ended := make(chan struct{})
	s := tls.Server(there, origin)
	go func() {
		defer close(ended)
		defer s.Close()
		if s.Handshake() == nil {
			_, _ = s.Write([]byte("x"))
		}
	}()
	c := tls.Client(here, &tls.Config{
		InsecureSkipVerify: true, ServerName: "x.example", MaxVersion: version, ClientSessionCache: use, VerifyConnection: use.Verify,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if own := use.Certificate(); own != nil {
				return own, nil
			}
			return new(tls.Certificate), nil
		},
	})
	if err = c.Handshake(); err == nil {
		_, err = c.Read(make([]byte, 1)) // by then the session's ticket is there
	}
	here.Close()
	<-ended
	if p := s.ConnectionState().PeerCertificates; len(p) > 0 {
		who = p[0].Subject.CommonName
	}
	return who, c.ConnectionState().DidResume, err
}

// TestSessions resumes sessions with and without an identity: each stays with who began it, and ends when the origin is not trusted any more.
func TestSessions(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s, err := set(t, time.Now().Add(time.Hour))
		check(t, err)
		der, key := certify(t, time.Now().Add(time.Hour))
		origin := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ClientAuth: tls.RequestClientCert}
		common, x := tls.NewLRUClientSessionCache(10), s.Find("x.example", netip.MustParseAddr("10.0.0.1"), time.Now())
		for i, step := range []struct {
			identity *identity.Identity
			trusted  bool
			who      string
			resumed  bool
			shown    string
			err      error
		}{
			{x, true, "x.example", false, "x", nil},
			{nil, true, "", false, "", nil}, // others do not resume it
			{x, true, "x.example", true, "x", nil},
			{nil, true, "", true, "", nil},
			{x, false, "", true, "", identity.ErrDistrusted},
			{x, true, "x.example", false, "x", nil}, // neither that session any more, nor one of others
			{x, true, "x.example", true, "x", nil},
		} {
			use := identity.NewUse(step.identity, func(*tls.ConnectionState) bool { return step.trusted }, common)
			who, resumed, err := meet(t, origin, use, version)
			if errors.Is(err, identity.ErrDistrusted) {
				who = "" // a session alone does not let the gateway finish
			}
			if who != step.who || resumed != step.resumed || use.Shown() != step.shown || !errors.Is(err, step.err) {
				t.Errorf("%s, step %d: the origin sees %q, resumed %t, shown %q, %v; want %+v", tls.VersionName(version), i, who, resumed, use.Shown(), err, step)
			}
			if offered := use.Offered() != ""; offered != (step.identity == nil && step.resumed) {
				t.Errorf("%s, step %d: a session of the common cache was offered: %t", tls.VersionName(version), i, offered)
			}
		}
	}
}
