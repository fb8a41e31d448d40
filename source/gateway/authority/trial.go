package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"time"
)

const (
	// trialUnit marks a trial authority, for people who look at the certificate and for Authority.Trial.
	trialUnit = "Vitrine trial (not for production)"
	// TrialTime is how long a trial authority is valid.
	TrialTime = 90 * 24 * time.Hour
	// backdated is how far clients' clocks may be behind.
	backdated = 48 * time.Hour
)

// NewTrial makes an authority for trying the gateway. The name, of the machine as a rule, tells several apart. It can sign
// leaves and no other authorities. The key is the caller's to keep.
func NewTrial(name string, now time.Time) (*Authority, crypto.Signer, error) {
	return selfMade(pkix.Name{CommonName: "Vitrine trial CA " + name, OrganizationalUnit: []string{trialUnit}}, now, TrialTime)
}

// newUntrusted makes the authority of leaves for origins that are not to be trusted. Nobody ever installs it, for it is never
// written anywhere; its name tells those who look at the certificate.
func newUntrusted(now time.Time) (*Authority, error) {
	a, _, err := selfMade(pkix.Name{CommonName: "Not trusted by the Vitrine gateway"}, now, 10*Renewal)
	return a, err
}

func selfMade(name pkix.Name, now time.Time, valid time.Duration) (*Authority, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the authority's key: %w", err)
	}
	template := &x509.Certificate{
		Subject: name, NotBefore: now.Add(-backdated), NotAfter: now.Add(valid), BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make the authority's certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	a, err := New([]*x509.Certificate{c}, key, now)
	return a, key, err
}
