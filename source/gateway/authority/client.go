package authority

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// LoadClient reads a certificate that the gateway itself shows to servers, with its issuers and its key, and refuses what they would not
// take, or what others than its owner can read.
func LoadClient(f Files, now time.Time) (*tls.Certificate, error) {
	if f.Key.IsURI() {
		return nil, errors.New("the key of a certificate for clients must be in a file: those in tokens are for authorities")
	}
	all, signer, err := f.read()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("certificate %s: no certificate is in it", f.Certificate)
	}
	chain, err := link(all, signer)
	if err == nil {
		err = checkClient(chain[0], now)
	}
	if err != nil {
		return nil, named("certificate", f.Certificate, err)
	}
	c := &tls.Certificate{PrivateKey: signer, Leaf: chain[0]}
	for _, x := range chain {
		c.Certificate = append(c.Certificate, x.Raw)
	}
	return c, nil
}

func checkClient(c *x509.Certificate, now time.Time) error {
	switch {
	case !servesClients(c):
		return errors.New("is not for clients (extendedKeyUsage without clientAuth): have it issued anew with that usage")
	case now.After(c.NotAfter):
		return fmt.Errorf("has expired on %s: put its successor in its place", c.NotAfter.Format(time.DateOnly))
	case now.Before(c.NotBefore):
		return fmt.Errorf("is not valid before %s: wait until then, or set this machine's clock", c.NotBefore.Format(time.DateTime))
	}
	return nil
}

// servesClients tells whether the certificate's extended usages, if it has any, allow clients.
func servesClients(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}
