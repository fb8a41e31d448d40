package origin

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/vitrine-ndr/vitrine/flow"
)

// Judge finds what is wrong with certificates, as a careful client would. It is safe for concurrent use.
type Judge struct {
	roots *x509.CertPool

	mu    sync.Mutex
	known map[[sha256.Size]byte]judged // the latest, so that one site's connections cost one verification
}

type judged struct {
	fault flow.Fault
	at    time.Time
}

const (
	maxKnown  = 4096
	knownTime = time.Minute // a certificate that expires is noticed within it
)

// NewJudge returns a Judge that trusts the roots, or those of the system if they are nil.
func NewJudge(roots *x509.CertPool) *Judge {
	return &Judge{roots: roots, known: map[[sha256.Size]byte]judged{}}
}

// Judge returns the fault of a chain that was sent for a name, with the OCSP response that came with it. An empty name is not
// compared: the client did not say whom it wants. The chain has at least one certificate.
func (j *Judge) Judge(chain []*x509.Certificate, name string, staple []byte, now time.Time) flow.Fault {
	key := fingerprint(chain, name, staple)
	j.mu.Lock()
	k, ok := j.known[key]
	j.mu.Unlock()
	if ok && now.Sub(k.at) < knownTime {
		return k.fault
	}
	fault := j.judge(chain, name, staple, now)
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.known) >= maxKnown {
		clear(j.known)
	}
	j.known[key] = judged{fault, now}
	return fault
}

func fingerprint(chain []*x509.Certificate, name string, staple []byte) [sha256.Size]byte {
	h := sha256.New()
	for _, c := range chain {
		h.Write(c.Raw)
	}
	sum := sha256.Sum256(staple)
	h.Write(sum[:])
	h.Write([]byte(name))
	return [sha256.Size]byte(h.Sum(nil))
}

func (j *Judge) judge(chain []*x509.Certificate, name string, staple []byte, now time.Time) flow.Fault {
	leaf := chain[0]
	o := x509.VerifyOptions{Roots: j.roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	fault := flow.NoFault
	switch { // the chain is judged at a time at which the leaf is valid: its dates are a fault of their own
	case now.After(leaf.NotAfter):
		fault, o.CurrentTime = flow.Expired, leaf.NotAfter
	case now.Before(leaf.NotBefore):
		fault, o.CurrentTime = flow.NotYetValid, leaf.NotBefore
	}
	verified, err := leaf.Verify(o)
	if isUsage(err) && !forServers(leaf) { // where a sub-CA is not for servers, its leaf has nothing to show
		fault, o.KeyUsages = flow.WrongUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
		verified, err = leaf.Verify(o)
	}
	switch {
	case err != nil && selfSigned(leaf):
		return flow.SelfSigned
	case err != nil || !forHandshakes(leaf) || !slices.ContainsFunc(verified, strong):
		return flow.Untrusted
	}
	if f := revocation(leaf, verified, staple, now); f != flow.NoFault {
		return f
	}
	if fault == flow.NoFault && name != "" && leaf.VerifyHostname(hostname(name)) != nil {
		return flow.WrongName
	}
	return fault
}

func isUsage(err error) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && invalid.Reason == x509.IncompatibleUsage
}

// forServers tells whether the certificate's own extended usages, if it has any, allow servers.
func forServers(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// forHandshakes tells whether the certificate's key, if its usage is limited, may take part in a handshake.
func forHandshakes(c *x509.Certificate) bool {
	return c.KeyUsage == 0 || c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment|x509.KeyUsageKeyAgreement) != 0
}

// minRSA is the length in bits of the shortest RSA keys that are not taken for broken.
const minRSA = 2048

// strong tells whether no key of a verified chain is too short. That of a root is the business of who trusts it.
func strong(chain []*x509.Certificate) bool {
	return !slices.ContainsFunc(chain[:max(1, len(chain)-1)], func(c *x509.Certificate) bool {
		key, ok := c.PublicKey.(*rsa.PublicKey)
		return ok && key.N.BitLen() < minRSA
	})
}

// hostname puts an address into the brackets by which VerifyHostname knows it.
func hostname(name string) string {
	if net.ParseIP(name) != nil {
		return "[" + name + "]"
	}
	return name
}

func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// oidTLSFeature marks a certificate whose server must staple a proof that it is not revoked: it holds the number of the
// extension status_request (RFC 7633).
var (
	oidTLSFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}
	mustStaple    = []byte{0x30, 3, 2, 1, 5}
)

// revocation judges by what the server itself has brought: the gateway asks nobody.
func revocation(leaf *x509.Certificate, verified [][]*x509.Certificate, staple []byte, now time.Time) flow.Fault {
	status := ocsp.Unknown
	for _, v := range verified {
		if len(staple) == 0 || len(v) < 2 {
			break
		}
		if r, err := ocsp.ParseResponseForCert(staple, leaf, v[1]); err == nil && !now.Before(r.ThisUpdate) && (r.NextUpdate.IsZero() || now.Before(r.NextUpdate)) {
			status = r.Status
			break
		}
	}
	switch {
	case status == ocsp.Revoked:
		return flow.Revoked
	case status != ocsp.Good && demandsStaple(leaf):
		return flow.NoStaple
	}
	return flow.NoFault
}

func demandsStaple(leaf *x509.Certificate) bool {
	for _, e := range leaf.Extensions {
		if e.Id.Equal(oidTLSFeature) && bytes.Equal(e.Value, mustStaple) {
			return true
		}
	}
	return false
}
