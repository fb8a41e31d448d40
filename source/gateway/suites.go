package gateway

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
)

// suites are the cipher suites below TLS 1.3 that the gateway uses on behalf of others: neither side gets one that it did not
// offer itself. RC4 and 3DES are broken for whoever uses them.
var suites = func() (ids []uint16) {
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		broken := strings.Contains(s.Name, "RC4") || strings.Contains(s.Name, "3DES")
		if !broken && !slices.Equal(s.SupportedVersions, []uint16{tls.VersionTLS13}) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}()

// groups are the key exchanges that crypto/tls knows.
var groups = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521, tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}

// offer is what a client can do, as far as the gateway can do it too.
type offer struct {
	min, max uint16 // versions
	suites   []uint16
	groups   []tls.CurveID // none: those of crypto/tls
	alpn     []string
}

// errUnsupported says that the gateway could not speak with the client, or not as it wants.
var errUnsupported = errors.New("nothing in the ClientHello that can be inspected")

func newOffer(h *handshake.ClientHello) (*offer, error) {
	o := &offer{min: tls.VersionTLS10, max: min(h.MaxVersion(), tls.VersionTLS13)}
	if len(h.SupportedVersions) > 0 {
		o.min = max(o.min, slices.Min(h.SupportedVersions)) // GREASE is above all versions
	}
	for _, id := range h.CipherSuites {
		if slices.Contains(suites, id) && len(o.suites) < len(suites) {
			o.suites = append(o.suites, id)
		}
	}
	for _, g := range groups {
		if slices.Contains(h.Groups, uint16(g)) {
			o.groups = append(o.groups, g)
		}
	}
	for _, name := range h.ALPN {
		if name != "" {
			o.alpn = append(o.alpn, name)
		}
	}
	if len(o.suites) == 0 {
		o.min = max(o.min, tls.VersionTLS13)
	}
	if o.min > o.max || o.max == tls.VersionTLS13 && len(o.groups) == 0 {
		return nil, errUnsupported
	}
	return o, nil
}

// keyType returns the kind of key that a certificate for the client needs.
func keyType(h *handshake.ClientHello, version uint16) authority.KeyType {
	signs := slices.Contains(h.SignatureAlgorithms, uint16(tls.ECDSAWithP256AndSHA256))
	if version < tls.VersionTLS13 {
		signs = (signs || version < tls.VersionTLS12) && slices.ContainsFunc(h.CipherSuites, isECDSA) && slices.Contains(h.Groups, uint16(tls.CurveP256))
	}
	if signs {
		return authority.ECDSA
	}
	return authority.RSA
}

func isECDSA(id uint16) bool {
	return slices.Contains(suites, id) && strings.HasPrefix(tls.CipherSuiteName(id), "TLS_ECDHE_ECDSA_")
}

// Words of crypto/tls, which has no types for what peers and handshakes fail with.
var (
	// disagreements are what is said where two sides have nothing in common.
	disagreements = []string{
		"remote error: tls: handshake failure", "remote error: tls: protocol version not supported", "remote error: tls: insufficient security level",
		"server selected unsupported protocol version", "server chose an unconfigured cipher suite", "server selected unsupported", "unsupported elliptic curve",
		"unsupported certificate", "unsupported key type", "unsupported public key",
	}
	// distrust is what clients say to a certificate that they don't accept.
	distrust = []string{"unknown certificate authority", "bad certificate", "unknown certificate", "expired certificate", "unsupported certificate", "revoked certificate", "access denied"}
	// renegotiation is what crypto/tls says when a server wants another handshake later in the connection: as a rule, for a client certificate.
	renegotiation = "local error: tls: no renegotiation"
	// reluctance is what a client says that has meant the ClientHello inside the one that was answered.
	reluctance = "encrypted client hello required"
)

func says(err error, words ...string) bool {
	return err != nil && slices.ContainsFunc(words, func(w string) bool { return strings.Contains(err.Error(), w) })
}
