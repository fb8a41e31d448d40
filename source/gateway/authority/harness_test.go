package authority_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
)

// now is late enough for whatever OpenSSL makes while the tests run.
var now = time.Now().Add(10 * time.Minute)

// issued is a certificate and its key.
type issued struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// issue makes a certificate, signed by the parent or, if that is nil, by itself.
func issue(t testing.TB, parent *issued, key crypto.Signer, change func(*x509.Certificate)) *issued {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: t.Name()}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	change(c)
	by := &issued{c, key}
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
	return &issued{cert, key}
}

func newECDSA(t testing.TB, c elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newRSA(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func same(*x509.Certificate) {}

// root is an authority of its own.
func root(t testing.TB) *issued {
	t.Helper()
	return issue(t, nil, newECDSA(t, elliptic.P256()), func(c *x509.Certificate) { c.Subject.CommonName = "Root" })
}

func newAuthority(t testing.TB, chain ...*issued) *authority.Authority {
	t.Helper()
	var certs []*x509.Certificate
	for _, i := range chain {
		certs = append(certs, i.cert)
	}
	a, err := authority.New(certs, chain[0].key, now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func inPEM(certs ...*issued) (out []byte) {
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})...)
	}
	return out
}

// openssl runs OpenSSL in a folder and returns what it prints.
func openssl(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(testkit.Need(t, "openssl"), args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

func read(t testing.TB, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, dir, name string, b []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, mode); err != nil {
		t.Fatal(err)
	}
	return path
}
