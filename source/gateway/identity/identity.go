// Package identity is what the gateway shows to origins that ask for a client certificate, in place of clients that may have it do so.
// Certificates and grants come in; for each connection with an origin a Use goes out, which shows the certificate only once the origin is
// found to be who it says, and keeps sessions that were begun with it from everybody else. It knows nothing of how connections are made.
package identity

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// Config is an identity as people write it.
type Config struct {
	policy.Grant `yaml:",inline"`
	Certificate  string      `yaml:"certificate" doc:"PEM file of the certificate, followed by those of its issuers; or a PKCS#12 file (.p12, .pfx) with the key too"`
	Key          token.Place `yaml:"key" doc:"PEM file of the private key, which may be encrypted"`
	Passphrase   string      `yaml:"passphrase_file" doc:"file of the passphrase that opens the key"`
}

// Identity is a certificate of the gateway's, and who may use it. It is safe for concurrent use.
type Identity struct {
	policy.Grant
	certificate *tls.Certificate
	// known are sessions in which it was shown; plain are those of who may use it in which the origin did not ask. They have caches of their own,
	// since the keys in one are names that clients choose.
	known, plain tls.ClientSessionCache
}

// sessions is how many of either are kept, to resume them.
const sessions = 64

// Subject is whom the certificate is about.
func (i *Identity) Subject() string { return i.certificate.Leaf.Subject.String() }

// Expires is when the certificate ends.
func (i *Identity) Expires() time.Time { return i.certificate.Leaf.NotAfter }

// Set is all identities that there are. It is safe for concurrent use; nil has none.
type Set struct {
	All    []*Identity
	grants *policy.Grants
}

// Open reads the identities, whose files lie in dir unless their paths are absolute.
func Open(list []Config, dir string, now time.Time) (*Set, error) {
	grants := make([]policy.Grant, len(list))
	for i, c := range list {
		grants[i] = c.Grant
	}
	compiled, err := policy.CompileGrants(grants)
	if err != nil {
		return nil, err
	}
	s := &Set{grants: compiled}
	for _, c := range list {
		cert, err := authority.LoadClient(authority.Files{Certificate: c.Certificate, Key: c.Key, Passphrase: c.Passphrase, Dir: dir}, now)
		if err != nil {
			return nil, fmt.Errorf("identity %q: %w", c.ID, err)
		}
		s.All = append(s.All, &Identity{c.Grant, cert, tls.NewLRUClientSessionCache(sessions), tls.NewLRUClientSessionCache(sessions)})
	}
	return s, nil
}

// Find returns the identity that a client may use with the server of the name, unless it has expired; or nil.
func (s *Set) Find(name string, client netip.Addr, now time.Time) *Identity {
	if s == nil {
		return nil
	}
	id := s.grants.Find(name, client)
	for _, i := range s.All {
		if i.ID == id && now.Before(i.Expires()) {
			return i
		}
	}
	return nil
}
