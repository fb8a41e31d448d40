package assembly

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/ech"
	"github.com/vitrine-ndr/vitrine/source/gateway/front"
	"github.com/vitrine-ndr/vitrine/source/gateway/identity"
)

// Parts are what a Config names, read and checked.
type Parts struct {
	config Config
	users  *front.Users // nil: everybody
	roots  *x509.CertPool
	allow  []netip.Prefix
	pins   *keeper
	// Identities are the gateway's own.
	Identities *identity.Set
	// ECH are keys for ClientHellos that are encrypted to the gateway; nil: none.
	ECH *ech.Keys
}

// Read reads all that the configuration names. Files lie in the folder, unless their paths are absolute.
func (c *Config) Read(dir string) (*Parts, error) {
	p := &Parts{config: *c}
	var err error
	if c.Users != "" {
		if p.users, err = readUsers(Beside(dir, c.Users)); err != nil {
			return nil, err
		}
	}
	for _, text := range c.Allow {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("allow: %q is no CIDR: %w", text, err)
		}
		p.allow = append(p.allow, prefix.Masked())
	}
	p.pins = openPins(&c.Pins, dir, time.Now())
	if p.Identities, err = identity.Open(c.Identities, dir, time.Now()); err != nil {
		return nil, err
	}
	if p.ECH, err = c.ECH.read(dir); err != nil {
		return nil, err
	}
	p.roots, err = c.Trust.read(dir)
	return p, err
}

// Beside returns the path of a file that a configuration in the folder names.
func Beside(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// maxNamed bounds the files that a configuration names.
const maxNamed = 4 << 20

func readNamed(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxNamed+1))
	if err == nil && len(b) > maxNamed {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxNamed)
	}
	return b, err
}

func readUsers(path string) (*front.Users, error) {
	text, err := readNamed(path)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	u, err := front.ParseUsers(text)
	if err != nil {
		return nil, fmt.Errorf("users %s: %w", path, err)
	}
	return u, nil
}

func (c *ECH) read(dir string) (*ech.Keys, error) {
	var keys []*ech.Key
	for _, file := range c.Keys {
		text, err := authority.ReadSecret(Beside(dir, file))
		if err != nil {
			return nil, fmt.Errorf("read ech.keys: %w", err)
		}
		k, err := ech.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("ech.keys, %s: %w", file, err)
		}
		keys = append(keys, k)
	}
	return ech.NewKeys(keys)
}

// read returns who may vouch for servers.
func (c *Trust) read(dir string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if c.System {
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("read the roots of this machine: %w", err)
		}
	}
	for _, file := range c.Roots {
		text, err := readNamed(Beside(dir, file))
		if err != nil {
			return nil, fmt.Errorf("read trust.roots: %w", err)
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("trust.roots: no certificate in %s", file)
		}
	}
	return pool, nil
}
