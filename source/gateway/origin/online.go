package origin

import (
	"bytes"
	"context"
	"crypto/x509"
	"log/slog"
	"slices"
	"time"
)

// Online is what a Judge may ask others for.
type Online struct {
	Guard *Guard // tells which addresses must not be connected to
	// Complete fetches certificates between a server's and its root that the server does not send. Since anybody may have it fetch
	// something, it does so from no private network, unless the guard allows that.
	Complete   bool
	Revocation Revocation
}

// Revocation is how thoroughly revoked certificates are looked for.
type Revocation string

const (
	Off     Revocation = "off"
	Stapled Revocation = "stapled" // by what servers bring themselves
	Soft    Revocation = "soft"    // by responders and lists too; while those do not answer, a certificate is good
	Hard    Revocation = "hard"    // likewise; while they do not answer, it is bad
)

// Revocations are all of them.
var Revocations = []Revocation{Off, Stapled, Soft, Hard}

// NewOnline returns a Judge that trusts the roots, or those of the system if they are nil, and asks others as o allows.
func NewOnline(roots *x509.CertPool, o Online, log *slog.Logger) *Judge {
	j := NewJudge(roots)
	j.revocation = o.Revocation
	if o.Complete {
		j.missing = &missing{newFetcher(o.Guard.checkPublic, log), newCache[*x509.Certificate](maxFetched)}
	}
	if o.Revocation == Soft || o.Revocation == Hard {
		j.revoked = newRevoked(newFetcher(o.Guard.Check, log))
	}
	return j
}

// missing fetches certificates that servers should have sent.
type missing struct {
	fetcher *fetcher
	known   cache[*x509.Certificate]
}

const (
	maxFetched     = 1024
	maxCertificate = 16 << 10
	maxMissing     = 4 // of a chain
	maxPlaces      = 2 // that are asked for the same
	fetchedTime    = 24 * time.Hour
)

// complete adds to the pool what is missing between the chain's first certificate and a root, and tells whether it knew whom to ask. What it
// adds is trusted by nobody.
func (m *missing) complete(ctx context.Context, chain []*x509.Certificate, pool *x509.CertPool, now time.Time) (asked bool) {
	c := chain[0]
	for range len(chain) + maxMissing {
		parent := issuerAmong(chain, c)
		if parent == nil {
			asked = asked || len(c.IssuingCertificateURL) > 0
			if parent = m.fetch(ctx, c, now); parent == nil {
				return asked
			}
			pool.AddCert(parent)
		}
		if bytes.Equal(parent.RawIssuer, parent.RawSubject) {
			return asked
		}
		c = parent
	}
	return asked
}

func issuerAmong(chain []*x509.Certificate, c *x509.Certificate) *x509.Certificate {
	i := slices.IndexFunc(chain, func(p *x509.Certificate) bool { return p != c && bytes.Equal(p.RawSubject, c.RawIssuer) })
	if i < 0 {
		return nil
	}
	return chain[i]
}

// fetch returns the certificate's issuer, from where the certificate says that it is, or nil.
func (m *missing) fetch(ctx context.Context, c *x509.Certificate, now time.Time) *x509.Certificate {
	for _, place := range c.IssuingCertificateURL[:min(maxPlaces, len(c.IssuingCertificateURL))] {
		parent, err := m.known.get(ctx, place, now, func(ctx context.Context) (*x509.Certificate, time.Time, error) {
			b, err := m.fetcher.get(ctx, place, nil, maxCertificate)
			if err != nil {
				return nil, time.Time{}, err
			}
			p, err := x509.ParseCertificate(b)
			return p, now.Add(fetchedTime), err
		})
		if err == nil && bytes.Equal(parent.RawSubject, c.RawIssuer) {
			return parent
		}
	}
	return nil
}
