package authority_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
)

// TestClientCertificates reads what OpenSSL has made for a client, and refuses what servers would not take.
func TestClientCertificates(t *testing.T) {
	dir := makeCA(t, "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	openssl(t, dir, "genpkey", "-algorithm", "ED25519", "-out", "client.key")
	openssl(t, dir, "req", "-new", "-key", "client.key", "-subj", "/CN=The gateway", "-out", "client.csr")
	write(t, dir, "ext", []byte("extendedKeyUsage=clientAuth\n"), 0o600)
	openssl(t, dir, "x509", "-req", "-in", "client.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "20", "-extfile", "ext", "-out", "client.pem")
	chain := append(read(t, dir, "ca.pem"), read(t, dir, "client.pem")...) // in the wrong order
	f := authority.Files{Certificate: write(t, dir, "chain.pem", chain, 0o644), Key: token.Place(write(t, dir, "key.pem", read(t, dir, "client.key"), 0o600))}
	c, err := authority.LoadClient(f, now)
	if err != nil {
		t.Fatal(err)
	}
	if c.Leaf.Subject.CommonName != "The gateway" || len(c.Certificate) != 2 || string(c.Certificate[0]) != string(c.Leaf.Raw) {
		t.Errorf("read %s, %d certificates", c.Leaf.Subject, len(c.Certificate))
	}
	_, err = authority.LoadClient(f, now.Add(25*24*time.Hour))
	checkError(t, err, "has expired on")
	_, err = authority.LoadClient(f, now.Add(-24*time.Hour))
	checkError(t, err, "is not valid before")
	_, err = authority.LoadClient(authority.Files{Certificate: string(f.Key), Key: f.Key}, now)
	checkError(t, err, "no certificate is in it")
	_, err = authority.LoadClient(authority.Files{Certificate: f.Certificate, Key: token.Place(write(t, dir, "ca.key", read(t, dir, "ca.key"), 0o600))}, now)
	checkError(t, err, "issued none of the others") // the key is that of the authority
	_, err = authority.LoadClient(authority.Files{Certificate: f.Certificate, Key: "pkcs11:token=t;object=o?module-path=/m.so&pin-value=1234"}, now)
	if checkError(t, err, "must be in a file"); strings.Contains(err.Error(), "1234") {
		t.Errorf("the PIN is in %v", err)
	}
	if err := os.Chmod(string(f.Key), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = authority.LoadClient(f, now)
	checkError(t, err, "can be read by others")
}

func TestServersAreNoClients(t *testing.T) {
	dir := t.TempDir()
	i := issue(t, nil, newECDSA(t, elliptic.P256()), func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = false, 0, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	key, err := authority.Seal(i.key, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = authority.LoadClient(authority.Files{Certificate: write(t, dir, "c.pem", inPEM(i), 0o644), Key: token.Place(write(t, dir, "k.pem", key, 0o600))}, now)
	checkError(t, err, "is not for clients")
}
