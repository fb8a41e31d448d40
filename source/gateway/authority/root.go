package authority

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ReadChain reads certificates in PEM, or one in DER, of which the last of what it returns is the root: the one that clients are to trust.
func ReadChain(text []byte) ([]*x509.Certificate, error) {
	all, err := ParseCertificates(text)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		c, err := x509.ParseCertificate(text)
		if err != nil {
			return nil, fmt.Errorf("no certificate in PEM or DER: %w", explain(err, text))
		}
		all = append(all, c)
	}
	if len(all) > maxChain {
		return nil, fmt.Errorf("more than %d certificates: give the root, and those below it if they are needed", maxChain)
	}
	roots := slices.Collect(func(yield func(*x509.Certificate) bool) {
		for _, c := range all {
			if selfIssued(c) && !yield(c) {
				return
			}
		}
	})
	switch {
	case len(roots) == 0:
		return nil, fmt.Errorf("certificate %q is no root, since %q issued it: clients need the certificate of that one", all[len(all)-1].Subject, all[len(all)-1].Issuer)
	case len(roots) > 1:
		return nil, fmt.Errorf("%d roots (%q, %q): give one at a time", len(roots), roots[0].Subject, roots[1].Subject)
	}
	return append(slices.DeleteFunc(all, func(c *x509.Certificate) bool { return c == roots[0] }), roots[0]), nil
}

// CheckRoot refuses a certificate that clients should not trust: not a root that signed itself, not an authority's, expired, or weak.
func CheckRoot(c *x509.Certificate, now time.Time) error {
	err := check(c, 0, now)
	if insecure := x509.InsecureAlgorithmError(0); err == nil {
		if err = c.CheckSignatureFrom(c); errors.As(err, &insecure) { // nobody checks a root's signature of itself
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("certificate %q %w", c.Subject, err)
	}
	return nil
}
