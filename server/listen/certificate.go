// Package listen takes the connections of the console's port. An address and a folder go in; TLS connections come out, under a
// certificate that is made at the first start, and whoever speaks plain HTTP is sent to HTTPS. It knows nothing of what is served.
package listen

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	validity    = 365 * 24 * time.Hour
	renewBefore = 30 * 24 * time.Hour
	clockSkew   = time.Hour // of clients whose clocks are behind
)

// Certificate is the self-signed certificate of the console, kept in one file together with its key. It is safe for
// concurrent use.
type Certificate struct {
	path  string
	names []string
	mu    sync.RWMutex
	pair  *tls.Certificate
}

// OpenCertificate reads the certificate from the file, and makes a new one if there is none or if it no longer fits. names
// are the host names and addresses that it must be valid for besides those of this machine's loopback.
func OpenCertificate(path string, names []string, now time.Time) (*Certificate, error) {
	c := &Certificate{path: path, names: append([]string{"localhost", "127.0.0.1", "::1"}, names...)}
	slices.Sort(c.names)
	c.names = slices.Compact(c.names)
	return c, c.Renew(now)
}

// Renew replaces the certificate if it is missing, ends soon, or lacks a name.
func (c *Certificate) Renew(now time.Time) error {
	b, err := os.ReadFile(c.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read certificate: %w", err)
	}
	if err == nil {
		pair, err := tls.X509KeyPair(b, b)
		if err != nil {
			return fmt.Errorf("read certificate %s: %w; remove the file to have a new one made", c.path, err)
		}
		if c.fits(pair.Leaf, now) {
			c.set(&pair)
			return nil
		}
	}
	return c.make(now)
}

func (c *Certificate) fits(leaf *x509.Certificate, now time.Time) bool {
	for _, n := range c.names {
		if leaf.VerifyHostname(n) != nil {
			return false
		}
	}
	return now.After(leaf.NotBefore) && now.Add(renewBefore).Before(leaf.NotAfter)
}

func (c *Certificate) make(now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Vitrine console"},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(validity),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, n := range c.names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	return c.keep(der, key)
}

// keep writes certificate and key to the file as one, readable by its owner only.
func (c *Certificate) keep(der []byte, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	var b bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := pem.Encode(&b, block); err != nil {
			return fmt.Errorf("make certificate: %w", err)
		}
	}
	pair, err := tls.X509KeyPair(b.Bytes(), b.Bytes())
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	if err := replaceFile(c.path, b.Bytes()); err != nil {
		return fmt.Errorf("keep certificate: %w", err)
	}
	c.set(&pair)
	return nil
}

// replaceFile writes a file whole or not at all. os.CreateTemp gives it mode 0600.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func (c *Certificate) set(pair *tls.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pair = pair
}

func (c *Certificate) get() *tls.Certificate {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.pair
}

// Fingerprint returns the SHA-256 of the certificate in hexadecimal, by which people and agents know it.
func (c *Certificate) Fingerprint() string {
	sum := sha256.Sum256(c.get().Certificate[0])
	return hex.EncodeToString(sum[:])
}

// TLS returns the configuration of a server that shows the certificate.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil },
	}
}
