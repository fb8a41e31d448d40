package authority

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// FromPEM reads certificates and a key, which may be encrypted, in PEM.
func FromPEM(certificates, key []byte, p Passphrase, now time.Time) (*Authority, error) {
	chain, signer, err := parsePEM(certificates, key, p)
	if err != nil {
		return nil, err
	}
	return New(chain, signer, now)
}

func parsePEM(certificates, key []byte, p Passphrase) ([]*x509.Certificate, crypto.Signer, error) {
	chain, err := ParseCertificates(certificates)
	if err != nil {
		return nil, nil, err
	}
	signer, err := parseKey(key, p)
	return chain, signer, err
}

// FromPKCS12 reads certificates and a key in PKCS#12.
func FromPKCS12(der []byte, p Passphrase, now time.Time) (*Authority, error) {
	chain, signer, err := parsePKCS12(der, p)
	if err != nil {
		return nil, err
	}
	return New(chain, signer, now)
}

func parsePKCS12(der []byte, p Passphrase) ([]*x509.Certificate, crypto.Signer, error) {
	key, first, rest, err := pkcs12.DecodeChain(der, string(p))
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword) && len(p) == 0:
		return nil, nil, errNoPassphrase
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, nil, errPassphrase
	case err != nil:
		return nil, nil, fmt.Errorf("read PKCS#12: %w", explain(err, der))
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("the key cannot sign (%T)", key)
	}
	return append([]*x509.Certificate{first}, rest...), signer, nil
}

// ParseCertificates reads certificates in PEM, at most one more than an authority may have. Whatever else is there is passed over.
func ParseCertificates(text []byte) (all []*x509.Certificate, err error) {
	for len(all) <= maxChain {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return all, nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read certificate: %w", explain(err, block.Bytes))
		}
		all = append(all, c)
	}
	return all, nil
}

// parseKey reads the first private key of the text.
func parseKey(text []byte, p Passphrase) (crypto.Signer, error) {
	block, rest := pem.Decode(text)
	for block != nil && !strings.HasSuffix(block.Type, "PRIVATE KEY") { // openssl ecparam writes the curve before it
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return nil, errors.New("no private key: a PEM file with a PRIVATE KEY is needed")
	}
	der, opened := block.Bytes, false
	if block.Type == sealedType {
		plain, err := unseal(der, p)
		if err != nil {
			return nil, err
		}
		der, opened = plain, true
	}
	key, err := decodeKey(block.Type, der)
	if err != nil && opened { // wrong padding is found in 255 of 256 cases only
		return nil, errPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("read private key: %w", explain(err, der))
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the key cannot sign (%T)", key)
	}
	return signer, nil
}

func decodeKey(kind string, der []byte) (crypto.PrivateKey, error) {
	switch kind {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(der)
	}
	return x509.ParsePKCS8PrivateKey(der)
}

// chineseOIDs begins the identifiers of SM2, SM3 and SM4 (GM/T 0006) in DER.
var chineseOIDs = []byte{0x2a, 0x81, 0x1c, 0xcf, 0x55}

// explain gives the reason for which something cannot be read, if it is known.
func explain(err error, der []byte) error {
	if bytes.Contains(der, chineseOIDs) {
		return errors.New("it uses SM algorithms (SM2, SM3), which browsers and most TLS libraries do not know: use ECDSA on P-256, or RSA")
	}
	return err
}
