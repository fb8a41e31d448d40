package authority

import (
	"encoding/pem"
	"fmt"
	"path/filepath"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
)

// FromToken reads certificates in PEM, of an authority whose key lies in a token. The token has to be there, so that what is wrong shows
// now; later it may go away and come back.
func FromToken(certificates []byte, key token.Place, now time.Time) (*Authority, error) {
	u, err := token.Parse(key)
	if err != nil {
		return nil, err
	}
	if u.PINSource != "" && !filepath.IsAbs(u.PINSource) {
		return nil, fmt.Errorf("pin-source is %q: give the absolute path of the file", u.PINSource)
	}
	return fromToken(certificates, u, now)
}

func fromToken(certificates []byte, u *token.URI, now time.Time) (*Authority, error) {
	chain, err := ParseCertificates(certificates)
	if err != nil {
		return nil, err
	}
	key, err := token.Open(u, readSecret)
	if err != nil {
		return nil, err
	}
	a, err := New(chain, key, now)
	if err != nil {
		key.Close()
	}
	return a, err
}

// sealedPlace names an encrypted URI in PEM.
const sealedPlace = "ENCRYPTED KEY URI"

// Unseal reads what Sealed wrote, with certificates in PEM, the one that signs first. A token need not be there.
func Unseal(certificates, key []byte, p Passphrase, now time.Time) (*Authority, error) {
	block, _ := pem.Decode(key)
	if block == nil || block.Type != sealedPlace {
		return FromPEM(certificates, key, p, now)
	}
	chain, err := ParseCertificates(certificates)
	if err != nil {
		return nil, err
	}
	if len(chain) == 0 {
		return nil, errNoCertificate
	}
	plain, err := unseal(block.Bytes, p)
	if err != nil {
		return nil, err
	}
	u, err := token.Parse(token.Place(plain))
	if err != nil {
		return nil, errPassphrase
	}
	return New(chain, u.Known(chain[0].PublicKey, readSecret), now)
}

// inToken is the key if it lies in a token.
func (a *Authority) inToken() (*token.Key, bool) {
	k, ok := a.signer.(*token.Key)
	return k, ok
}

// Module is the library that the authority's key needs, which lies in a token; or empty.
func (a *Authority) Module() string {
	if k, ok := a.inToken(); ok {
		return k.URI().Module
	}
	return ""
}

// Check finds out whether the authority's key is there. It may take some seconds, where that lies in a token.
func (a *Authority) Check() error {
	if k, ok := a.inToken(); ok {
		return k.Check()
	}
	return nil
}

// Fault is why the authority could not sign when it was last asked to; or nil.
func (a *Authority) Fault() error {
	if k, ok := a.inToken(); ok {
		return k.Fault()
	}
	return nil
}

// Watch has a function called when the authority ceases to sign, with the reason, and with nil when it signs again.
func (a *Authority) Watch(told func(error)) {
	if k, ok := a.inToken(); ok {
		k.Watch(told)
	}
}

// Close lets go of the token, if the key lies in one, until it is asked for again.
func (a *Authority) Close() {
	if k, ok := a.inToken(); ok {
		k.Close()
	}
}
