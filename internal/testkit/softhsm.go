package testkit

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// SoftHSM is a PKCS#11 token in software. This process, and those that it starts, find it by the environment.
type SoftHSM struct {
	Module string // the library that speaks with it
	Label  string
	PIN    string

	folder string
	tool   string
}

// NewSoftHSM makes an empty token. A test that calls it cannot be parallel.
func NewSoftHSM(t testing.TB) *SoftHSM {
	t.Helper()
	util := Need(t, "softhsm2-util")
	h := &SoftHSM{Module: "/usr/lib/softhsm/libsofthsm2.so", Label: "vitrine test", PIN: "8240+9317", tool: Need(t, "pkcs11-tool")}
	dir := t.TempDir()
	h.folder = filepath.Join(dir, "tokens")
	conf := filepath.Join(dir, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", h.folder)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(h.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	h.run(t, util, "--init-token", "--free", "--label", h.Label, "--so-pin", "12345678", "--pin", h.PIN)
	return h
}

// Generate makes a key in the token, of a type as pkcs11-tool has them (EC:prime256v1, rsa:2048).
func (h *SoftHSM) Generate(t testing.TB, kind, label, id string) {
	t.Helper()
	h.run(t, h.tool, "--module", h.Module, "--token-label", h.Label, "--login", "--pin", h.PIN, "--keypairgen", "--key-type", kind, "--label", label, "--id", id)
}

func (h *SoftHSM) run(t testing.TB, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
}

// TakeOut takes the token away, as whoever pulls it does. PutBack undoes that.
func (h *SoftHSM) TakeOut(t testing.TB) { h.move(t, h.folder, h.folder+".out") }

// PutBack has the token there again.
func (h *SoftHSM) PutBack(t testing.TB) { h.move(t, h.folder+".out", h.folder) }

func (h *SoftHSM) move(t testing.TB, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// SelfSigned makes the certificate of an authority, in PEM, whose key lies anywhere.
func SelfSigned(t testing.TB, key crypto.Signer) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: t.Name()}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
