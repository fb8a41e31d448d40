package assembly_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vitrine-ndr/vitrine/source/gateway/assembly"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// configured is a configuration that is valid, and trusts nobody but the roots that a test adds.
func configured() *assembly.Config {
	c := assembly.Default()
	c.Listen.Connect, c.Trust.System = "127.0.0.1:0", false
	return &c
}

func open(t *testing.T, c *assembly.Config, dir string) (*assembly.Assembly, error) {
	t.Helper()
	parts, err := c.Read(dir)
	check(t, err)
	return parts.Open(t.Context(), assembly.Options{}, slog.New(slog.DiscardHandler))
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	check(t, os.WriteFile(path, text, 0o600))
}

// certify returns a certificate that issues itself, and its key.
func certify(t *testing.T, name string, end time.Time, isCA bool) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: end,
		BasicConstraintsValid: true, IsCA: isCA,
	}
	if isCA {
		c.KeyUsage = x509.KeyUsageCertSign
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	return cert, key
}

// pair writes a certificate and its key into the folder: NAME.pem and NAME-key.pem.
func pair(t *testing.T, dir, name string, end time.Time) {
	t.Helper()
	cert, key := certify(t, name, end, false)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	write(t, filepath.Join(dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	write(t, filepath.Join(dir, name+"-key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*assembly.Config){
		"":                   func(*assembly.Config) {},
		"nobody could":       func(c *assembly.Config) { c.Listen.Connect = "" },
		"address:port":       func(c *assembly.Config) { c.Listen.SOCKS5 = "1080" },
		"no server would be": func(c *assembly.Config) { c.Trust.Roots = nil },
		"trust.revocation":   func(c *assembly.Config) { c.Trust.Revocation = "perhaps" },
		"limits and hold":    func(c *assembly.Config) { c.Hold.Time = 0 },
		"pins.approval":      func(c *assembly.Config) { c.Pins.Approval = "never" },
		"pins.time":          func(c *assembly.Config) { c.Pins.Clients = 0 },
	} {
		c := configured()
		c.Trust.Roots = []string{"root.pem"}
		change(c)
		if err := c.Validate(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// grant is who may use an identity, so that only its files can be wrong.
func grant(id string) policy.Grant {
	return policy.Grant{ID: id, Names: []string{id + ".example"}, Sources: []policy.Addresses{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}}
}

// events are what was logged.
func events(t *testing.T, log *bytes.Buffer) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(log.String()) {
		var e map[string]any
		check(t, json.Unmarshal([]byte(line), &e))
		all = append(all, e)
	}
	return all
}

func TestRemind(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	end := now.Add(1000 * day)
	cert, key := certify(t, "Office", end, true)
	office, err := authority.New([]*x509.Certificate{cert}, key, now)
	check(t, err)
	trial, _, err := authority.NewTrial("here", now)
	check(t, err)
	for _, c := range []struct {
		authority *authority.Authority
		left      time.Duration
		want      string
	}{
		{office, 366 * day, ""},
		{office, 364 * day, "expires in less than a year"},
		{office, 0, "expires in less than a year"},
		{office, -day, "expires in less than a year"},
		{trial, 90 * day, "for trials only"},
		{trial, 1000 * day, "for trials only"},
	} {
		var log bytes.Buffer
		assembly.Remind(slog.New(slog.NewJSONHandler(&log, nil)), c.authority, c.authority.Expires().Add(-c.left))
		got := events(t, &log)
		if c.want == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || c.want == "" || got[0]["level"] != "WARN" || !strings.Contains(fmt.Sprint(got[0]["msg"]), c.want) || got[0]["authority"] != c.authority.String() {
			t.Errorf("%s with %s left: logged %v, want %q", c.authority, c.left, got, c.want)
		}
	}
}

// TestRemindsOfIdentities has one that ends in 31 days and one that ends in 29: only the latter should be replaced now.
func TestRemindsOfIdentities(t *testing.T) {
	dir, c := t.TempDir(), configured()
	for name, days := range map[string]int{"late": 31, "soon": 29} {
		pair(t, dir, name, time.Now().Add(time.Duration(days)*24*time.Hour))
		c.Identities = append(c.Identities, identityOf(name))
	}
	parts, err := c.Read(dir)
	check(t, err)
	lines := make(chan string, 10)
	a, err := parts.Open(t.Context(), assembly.Options{}, slog.New(slog.NewTextHandler(lineWriter(lines), nil)))
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, nil) }()
	if line := <-lines; !strings.Contains(line, "level=WARN") || !strings.Contains(line, "identity=soon") || !strings.Contains(line, "CN=soon") {
		t.Errorf("logged %s", line)
	}
	cancel()
	check(t, <-done)
	close(lines)
	for line := range lines {
		if strings.Contains(line, "identity") {
			t.Errorf("logged %s too", line)
		}
	}
}

// lineWriter sends each line that a logger writes.
type lineWriter chan string

func (w lineWriter) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}
