package bus

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// authority issues certificates for 127.0.0.1.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.issue(t, "ca")
	return a
}

// issue writes NAME.pem and NAME.key. The first certificate is the authority's own.
func (a *authority) issue(t *testing.T, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true, IsCA: a.cert == nil,
	}
	if a.cert == nil {
		a.cert, a.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, name+".pem", &pem.Block{Type: "CERTIFICATE", Bytes: der})
	a.write(t, name+".key", &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

func (a *authority) write(t *testing.T, name string, block *pem.Block) {
	t.Helper()
	if err := os.WriteFile(a.path(name), pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// listen runs a NATS server with JetStream that takes only clients with a certificate of the authority.
func (a *authority) listen(t *testing.T) (url string) {
	t.Helper()
	a.issue(t, "server")
	cfg, err := server.GenTLSConfig(&server.TLSConfigOpts{
		CaFile: a.path("ca.pem"), CertFile: a.path("server.pem"), KeyFile: a.path("server.key"), Verify: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.MinVersion = tls.VersionTLS13
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, TLSConfig: cfg, TLSVerify: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	return s.ClientURL()
}

func TestExternalServerWithMutualTLS(t *testing.T) {
	a := newAuthority(t)
	url := a.listen(t)
	a.issue(t, "client")
	withoutCertificate := func(c *Config) { c.External = External{URL: url, CA: a.path("ca.pem")} }
	withCertificate := func(c *Config) {
		withoutCertificate(c)
		c.External.Certificate, c.External.Key = a.path("client.pem"), a.path("client.key")
	}

	cfg := DefaultConfig("")
	withoutCertificate(&cfg)
	if b, err := Open(t.Context(), cfg, nil); err == nil {
		b.Close()
		t.Error("the server took a client without a certificate")
	}

	b, _ := openBus(t, "", withCertificate)
	publish(t, b, 0, 10, 100)
	if got := txs(consume(t, b, 10, nil)); !slices.Equal(got, upTo(10)) {
		t.Errorf("got %v", got)
	}
}
