// Package authority makes the certificates that the gateway shows to clients. An authority's certificates and key come in, refused
// with the reason unless clients could trust what it signs; for each certificate of an origin a leaf goes out that says the same
// and has a key of its own. The authority's key signs leaves, never handshakes. It knows nothing of connections or policies.
package authority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"
)

// Authority is a certificate authority that may sign. It does not change.
type Authority struct {
	chain  []*x509.Certificate // the one that signs, then its issuers, as far up as they are known
	signer crypto.Signer
}

// maxChain is how many certificates an authority may have.
const maxChain = 8

var errNoCertificate = errors.New("no certificate: give the authority's own certificate, followed by those of its issuers if it has some")

// New checks that the key belongs to one of the certificates, that they form one chain, in whatever order, and that clients could
// trust what it signs at the time.
func New(certificates []*x509.Certificate, signer crypto.Signer, now time.Time) (*Authority, error) {
	if len(certificates) == 0 {
		return nil, errNoCertificate
	}
	if len(certificates) > maxChain {
		return nil, fmt.Errorf("%d certificates: an authority may have at most %d", len(certificates), maxChain)
	}
	chain, err := link(certificates, signer)
	if err != nil {
		return nil, err
	}
	for below, c := range chain {
		if err := check(c, below, now); err != nil {
			return nil, fmt.Errorf("certificate %q %w", c.Subject, err)
		}
	}
	return &Authority{chain, signer}, nil
}

// link puts certificates into the order of a chain that begins with that of the key.
func link(certificates []*x509.Certificate, signer crypto.Signer) ([]*x509.Certificate, error) {
	rest := slices.Clone(certificates)
	i := slices.IndexFunc(rest, func(c *x509.Certificate) bool { return equalKeys(c.PublicKey, signer.Public()) })
	if i < 0 {
		return nil, fmt.Errorf("the key belongs to none of the certificates (first is %q): give the key that was made with the certificate", certificates[0].Subject)
	}
	var chain []*x509.Certificate
	for i >= 0 {
		last := rest[i]
		chain, rest = append(chain, last), slices.Delete(rest, i, i+1)
		i = slices.IndexFunc(rest, func(c *x509.Certificate) bool { return !selfIssued(last) && last.CheckSignatureFrom(c) == nil })
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("certificate %q issued none of the others: leave it out", rest[0].Subject)
	}
	return chain, nil
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

func equalKeys(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// check refuses a certificate that clients would not accept in the chain, or that is too weak. Below it are as many authorities.
func check(c *x509.Certificate, below int, now time.Time) error {
	switch {
	case !c.BasicConstraintsValid || !c.IsCA:
		return errors.New("is not that of an authority (basicConstraints without CA:TRUE): a server's certificate cannot sign others")
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("may not sign certificates (keyUsage without keyCertSign): have it issued anew with that usage")
	case c.MaxPathLen >= 0 && (c.MaxPathLen > 0 || c.MaxPathLenZero) && c.MaxPathLen < below:
		return fmt.Errorf("allows %d authorities below it, and has %d (pathLenConstraint)", c.MaxPathLen, below)
	case !servesTLS(c):
		return errors.New("may not issue certificates for servers (extendedKeyUsage without serverAuth)")
	case now.After(c.NotAfter):
		return fmt.Errorf("has expired on %s: import its successor", c.NotAfter.Format(time.DateOnly))
	case now.Before(c.NotBefore):
		return fmt.Errorf("is not valid before %s: wait until then, or set this machine's clock", c.NotBefore.Format(time.DateTime))
	}
	return checkKey(c.PublicKey)
}

func servesTLS(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// minRSA is the least length of an RSA key in bits: browsers refuse less.
const minRSA = 2048

// checkKey refuses keys that clients do not accept.
func checkKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA {
			return fmt.Errorf("has an RSA key of %d bits: at least %d are needed", n, minRSA)
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			return fmt.Errorf("has a key on the curve %s: only P-256 and P-384 are accepted by all clients", k.Curve.Params().Name)
		}
	default:
		return fmt.Errorf("has a key of a kind that few clients accept (%T): use ECDSA on P-256, or RSA", key)
	}
	return nil
}

// Certificate is the one whose key signs.
func (a *Authority) Certificate() *x509.Certificate { return a.chain[0] }

// Root is the certificate that clients have to trust: the last one of the chain that is known.
func (a *Authority) Root() *x509.Certificate { return a.chain[len(a.chain)-1] }

// Expires is when the first of the chain's certificates does.
func (a *Authority) Expires() time.Time {
	first := slices.MinFunc(a.chain, func(x, y *x509.Certificate) int { return x.NotAfter.Compare(y.NotAfter) })
	return first.NotAfter
}

// Renewal is how long before its end an authority should be renewed: clients need its successor before.
const Renewal = 365 * 24 * time.Hour

// Trial tells whether the authority was made by NewTrial, and should give way to a real one.
func (a *Authority) Trial() bool { return IsTrial(a.Root()) }

// IsTrial tells whether a root is one that NewTrial has made.
func IsTrial(root *x509.Certificate) bool {
	return slices.Contains(root.Subject.OrganizationalUnit, trialUnit)
}

// Chain is the certificate whose key signs, then those of its issuers. It must not be changed.
func (a *Authority) Chain() []*x509.Certificate { return a.chain }

// Sealed returns the key in PEM, encrypted, so that Unseal reads it with the passphrase; or, of one in a token, where it is.
func (a *Authority) Sealed(p Passphrase) ([]byte, error) {
	if len(p) == 0 {
		return nil, errNoPassphrase
	}
	if k, ok := a.inToken(); ok {
		return seal(sealedPlace, []byte(k.URI().Place), p)
	}
	return Seal(a.signer, p)
}

// sent is what of the chain goes to clients behind a leaf: all but a root, which they have or distrust.
func (a *Authority) sent() (der [][]byte) {
	for _, c := range a.chain {
		if !selfIssued(c) {
			der = append(der, c.Raw)
		}
	}
	return der
}

func (a *Authority) String() string { return a.Certificate().Subject.String() }

// Format keeps the key out of whatever fmt writes, for every verb.
func (a *Authority) Format(f fmt.State, _ rune) { io.WriteString(f, a.String()) }

// LogValue keeps the key out of logs.
func (a *Authority) LogValue() slog.Value { return slog.StringValue(a.String()) }
