package authority

import (
	"encoding/pem"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
)

// FromToken reads certificates in PEM, of an authority whose key lies in a token, at a URI. The token has to be there, so that what is
// wrong shows now; later it may go away and come back. The modules are all that may be loaded: their code runs within this program.
func FromToken(certificates []byte, uri string, modules []string, now time.Time) (*Authority, error) {
	u, err := parseURI(uri, modules)
	if err != nil {
		return nil, err
	}
	return fromToken(certificates, u, now)
}

// parseURI reads a URI that lies beside no configuration.
func parseURI(text string, modules []string) (*token.URI, error) {
	u, err := token.Parse(token.Place(text))
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains(modules, u.Module):
		return nil, fmt.Errorf("the module %q of the key's URI is none of those that the configuration allows, which are %q", u.Module, modules)
	case u.PINSource != "" && !filepath.IsAbs(u.PINSource):
		return nil, fmt.Errorf("pin-source is %q: give the absolute path of the file", u.PINSource)
	}
	return u, nil
}

func fromToken(certificates []byte, u *token.URI, now time.Time) (*Authority, error) {
	chain, err := ParseCertificates(certificates)
	if err != nil {
		return nil, err
	}
	key, err := token.Open(u, ReadSecret)
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

// Unseal reads what Sealed wrote, with certificates in PEM, the one that signs first. A token need not be there. The modules are all that
// may be loaded.
func Unseal(certificates, key []byte, p Passphrase, modules []string, now time.Time) (*Authority, error) {
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
	if !token.Place(plain).IsURI() { // wrong padding is found in 255 of 256 cases only
		return nil, errPassphrase
	}
	u, err := parseURI(string(plain), modules)
	if err != nil {
		return nil, err
	}
	return New(chain, u.Known(chain[0].PublicKey, ReadSecret), now)
}

// inToken is the key if it lies in a token.
func (a *Authority) inToken() (*token.Key, bool) {
	k, ok := a.signer.(*token.Key)
	return k, ok
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
