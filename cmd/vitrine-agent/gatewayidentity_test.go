package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clientFiles makes a client's certificate that ends when it is said to.
func clientFiles(t *testing.T, dir string, end time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "office gateway"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	check(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "client.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	check(t, os.WriteFile(filepath.Join(dir, "client.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

// TestGatewayIdentities checks what the program says of identities, good and bad ones, before it begins.
func TestGatewayIdentities(t *testing.T) {
	agent := buildProgram(t)
	for _, tt := range []struct {
		name, more string
		end        time.Duration
		mode       os.FileMode
		status     int
		want       string
	}{
		{"good", "sources: [10.1.0.0/16, 10.2.0.7]", 10 * 24 * time.Hour, 0o600, 0, "(9 days): for api.example, *.corp.example, used by 10.1.0.0/16, 10.2.0.7/32\n"},
		{"for nobody", "", 24 * time.Hour, 0o600, 2, `identity "crm": sources are needed`},
		{"expired", "sources: [10.1.0.0/16]", -time.Hour, 0o600, 2, "has expired on"},
		{"open to others", "sources: [10.1.0.0/16]", 24 * time.Hour, 0o644, 2, "can be read by others (mode 0644): chmod 600 it"},
		{"mistaken", "sauces: [10.1.0.0/16]", 24 * time.Hour, 0o600, 2, "sauces"},
	} {
		dir, _ := trial(t, agent, "127.0.0.1:443", `identities: [{id: crm, names: [api.example, "*.corp.example"], certificate: client.pem, key: client.key, `+tt.more+"}]\n")
		clientFiles(t, dir, time.Now().Add(tt.end))
		check(t, os.Chmod(filepath.Join(dir, "client.key"), tt.mode))
		ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
		check(t, err)
		check(t, os.WriteFile(filepath.Join(dir, "server.pem"), ca, 0o600))
		out, errs, status := command(t, agent, "gateway", "--config", filepath.Join(dir, "gateway.yaml"), "--check-config")
		if status != tt.status || !strings.Contains(out+errs, tt.want) {
			t.Errorf("%s: status %d, %q is not in %s%s", tt.name, status, tt.want, out, errs)
		}
	}
}
