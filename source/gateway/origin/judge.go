package origin

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

// Judge finds what is wrong with certificates, as a careful client would. It is safe for concurrent use.
type Judge struct {
	roots      *x509.CertPool
	revocation Revocation
	missing    *missing      // nil: what servers do not send is missing
	revoked    *revokedAsker // nil: nobody is asked

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

// NewJudge returns a Judge that trusts the roots, or those of the system if they are nil. It asks nobody.
func NewJudge(roots *x509.CertPool) *Judge {
	return &Judge{roots: roots, revocation: Stapled, known: map[[sha256.Size]byte]judged{}}
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
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	fault, settled := j.judge(ctx, chain, name, staple, now)
	if !settled { // the next one may know more
		return fault
	}
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

// judge is Judge until ctx is done. The fault is settled unless somebody has been asked and has not answered.
func (j *Judge) judge(ctx context.Context, chain []*x509.Certificate, name string, staple []byte, now time.Time) (fault flow.Fault, settled bool) {
	leaf := chain[0]
	o := x509.VerifyOptions{Roots: j.roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	switch { // the chain is judged at a time at which the leaf is valid: its dates are a fault of their own
	case now.After(leaf.NotAfter):
		fault, o.CurrentTime = flow.Expired, leaf.NotAfter
	case now.Before(leaf.NotBefore):
		fault, o.CurrentTime = flow.NotYetValid, leaf.NotBefore
	}
	verified, err := leaf.Verify(o)
	settled = true
	if _, stranger := errors.AsType[x509.UnknownAuthorityError](err); stranger && j.missing != nil && !selfSigned(leaf) {
		asked := j.missing.complete(ctx, chain, o.Intermediates, now)
		verified, err = leaf.Verify(o)
		settled = err == nil || !asked
	}
	if isUsage(err) && !forServers(leaf) { // where a sub-CA is not for servers, its leaf has nothing to show
		fault, o.KeyUsages = flow.WrongUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
		verified, err = leaf.Verify(o)
	}
	switch {
	case err != nil && selfSigned(leaf):
		return flow.SelfSigned, settled
	case err != nil || !forHandshakes(leaf) || !slices.ContainsFunc(verified, strong):
		return flow.Untrusted, settled
	}
	f, settled := j.revocationOf(ctx, verified, staple, now)
	switch {
	case f != flow.NoFault:
		return f, settled
	case fault == flow.NoFault && name != "" && leaf.VerifyHostname(hostname(name)) != nil:
		return flow.WrongName, settled
	}
	return fault, settled
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

// maxChains is how many ways to a root are looked at.
const maxChains = 4

// revocationOf tells whether every way from the leaf to a root has a revoked certificate: by what the server has brought, and what others answer.
func (j *Judge) revocationOf(ctx context.Context, verified [][]*x509.Certificate, staple []byte, now time.Time) (fault flow.Fault, settled bool) {
	leaf, best, brought := verified[0][0], revoked, unknown
	if j.revocation == Off {
		return flow.NoFault, true
	}
	for _, chain := range verified[:min(maxChains, len(verified))] {
		own := stapled(staple, chain, now)
		brought = max(brought, own)
		if s := j.chainStatus(ctx, chain, own, now); s != revoked {
			best = s
			break
		}
	}
	switch {
	case brought == revoked || best == revoked:
		return flow.Revoked, true
	case brought != good && demandsStaple(leaf):
		return flow.NoStaple, true
	case best == unknown && j.revocation == Hard:
		return flow.RevocationUnknown, false
	}
	return flow.NoFault, best != unknown
}

// stapled is what the server itself has brought about its certificate.
func stapled(staple []byte, chain []*x509.Certificate, now time.Time) status {
	if len(staple) == 0 || len(chain) < 2 {
		return unknown
	}
	r, err := parseResponse(staple, chain[0], chain[1], now)
	if err != nil {
		return unknown
	}
	return statusOf(r)
}

// chainStatus is revoked if one of the chain's certificates is, and unknown if that is not known of one. The root is the business of who trusts it.
func (j *Judge) chainStatus(ctx context.Context, chain []*x509.Certificate, leaf status, now time.Time) status {
	if leaf == revoked || j.revoked == nil {
		return max(leaf, untold)
	}
	all := good
	for i, c := range chain[:len(chain)-1] {
		s := leaf
		if i > 0 || s == unknown {
			s = j.revoked.status(ctx, c, chain[i+1], now)
		}
		if s == revoked {
			return revoked
		}
		all = min(all, s)
	}
	return all
}

func demandsStaple(leaf *x509.Certificate) bool {
	for _, e := range leaf.Extensions {
		if e.Id.Equal(oidTLSFeature) && bytes.Equal(e.Value, mustStaple) {
			return true
		}
	}
	return false
}
