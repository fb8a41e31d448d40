package authority

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
)

// Files is where an authority lies.
type Files struct {
	Certificate string      // PEM: the authority's own, then those of its issuers; or PKCS#12 (.p12, .pfx) with the key too
	Key         token.Place // PEM, perhaps encrypted; or the URI of a key in a token
	Passphrase  string      // the file of what opens the key; or empty
	Dir         string      // that the others lie in, unless their paths are absolute
}

func (f *Files) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(f.Dir, name)
}

// maxFile bounds what is read of a file.
const maxFile = 1 << 20

// Load reads an authority and checks it. A secret in a file that others than its owner can read is refused.
func Load(f Files, now time.Time) (*Authority, error) {
	if f.Key.IsURI() {
		a, err := f.inToken(now)
		return a, named("authority", f.path(f.Certificate), err)
	}
	chain, key, err := f.read()
	if err != nil {
		return nil, err
	}
	a, err := New(chain, key, now)
	return a, named("authority", f.path(f.Certificate), err)
}

// read returns certificates and a key from files, whatever they are for.
func (f *Files) read() ([]*x509.Certificate, crypto.Signer, error) {
	file := f.path(f.Certificate)
	var passphrase Passphrase
	if f.Passphrase != "" {
		text, err := ReadSecret(f.path(f.Passphrase))
		if err != nil {
			return nil, nil, fmt.Errorf("read passphrase: %w", err)
		}
		passphrase = Passphrase(bytes.TrimRight(text, "\r\n"))
	}
	switch strings.ToLower(filepath.Ext(file)) {
	case ".p12", ".pfx":
		der, err := ReadSecret(file)
		if err != nil {
			return nil, nil, fmt.Errorf("read certificate: %w", err)
		}
		chain, key, err := parsePKCS12(der, passphrase)
		return chain, key, named("certificate", file, err)
	}
	certificates, err := readFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("read certificate: %w", err)
	}
	secret, err := ReadSecret(f.path(string(f.Key)))
	if err != nil {
		return nil, nil, fmt.Errorf("read the certificate's key: %w", err)
	}
	chain, key, err := parsePEM(certificates, secret, passphrase)
	return chain, key, named("certificate", file, err)
}

func (f *Files) inToken(now time.Time) (*Authority, error) {
	certificates, err := readFile(f.path(f.Certificate))
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	u, err := token.Parse(f.Key)
	if err != nil {
		return nil, err
	}
	if u.PINSource != "" {
		u.PINSource = f.path(u.PINSource)
	}
	return fromToken(certificates, u, now)
}

func named(what, file string, err error) error {
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, file, err)
	}
	return nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}

// ReadSecret reads a file that only its owner can read; others are refused.
func ReadSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %04o): chmod 600 it", path, info.Mode().Perm())
	}
	return readAll(f)
}

func readAll(f *os.File) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", f.Name(), maxFile)
	}
	return b, err
}
