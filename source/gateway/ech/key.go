// Package ech opens ClientHellos that clients have encrypted to the gateway (RFC 9849). Keys come in; the hello inside goes out, as crypto/tls
// reads it: by the same code that answers it later, so that what is decided about and what is answered can't be two things. It knows nothing of
// policies, and does no I/O.
package ech

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"regexp"

	"golang.org/x/crypto/cryptobyte"
)

// Key is a private key, and the configuration by which clients encrypt to it.
type Key struct {
	Name   string // of the server that stands outside of the encrypted hello
	config []byte // ECHConfig (RFC 9849 §4)
	public []byte // the key in it
	secret *ecdh.PrivateKey
}

// LogValue keeps the secret out of logs.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Format keeps the secret out of whatever fmt writes, for every verb.
func (k *Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

func (k *Key) String() string {
	return fmt.Sprintf("%s REDACTED(%d bytes)", k.Name, len(k.secret.Bytes()))
}

// What this package knows of the registries for HPKE (RFC 9180 §7) and ECH.
const (
	version   = 0xfe0d // and the number of the extension
	x25519    = 0x0020
	sha256    = 0x0001
	aes128    = 0x0001
	chacha20  = 0x0003
	longest   = 64 // names inside are padded to so many bytes
	maxConfig = 4 << 10
)

var names = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// NewKey makes a key for a name.
func NewKey(name string) (*Key, error) {
	if !names.MatchString(name) || len(name) > 253 {
		return nil, fmt.Errorf("%q is no name of a server, such as gateway.example", name)
	}
	secret, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	var id [1]byte
	rand.Read(id[:]) // never fails
	var b cryptobyte.Builder
	b.AddUint16(version)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint8(id[0])
		b.AddUint16(x25519)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(secret.PublicKey().Bytes()) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, aead := range []uint16{aes128, chacha20} {
				b.AddUint16(sha256)
				b.AddUint16(aead)
			}
		})
		b.AddUint8(longest)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
		b.AddUint16(0) // no extensions
	})
	config, err := b.Bytes()
	return &Key{name, config, secret.PublicKey().Bytes(), secret}, err
}

// List is the ECHConfigList that clients are told.
func (k *Key) List() []byte {
	return append([]byte{byte(len(k.config) >> 8), byte(len(k.config))}, k.config...)
}

// Record is what an HTTPS record of DNS has about the key.
func (k *Key) Record() string { return "ech=" + base64.StdEncoding.EncodeToString(k.List()) }

// The blocks of a file: the form that OpenSSL and web servers read, too.
const (
	secretBlock = "PRIVATE KEY"
	configBlock = "ECHCONFIG"
)

// PEM writes what Parse reads.
func (k *Key) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.secret)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: secretBlock, Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: configBlock, Bytes: k.List()})...), nil
}

// Parse reads a private key and its configuration in PEM.
func Parse(text []byte) (*Key, error) {
	k := new(Key)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var err error
		switch block.Type {
		case secretBlock:
			err = k.parseSecret(block.Bytes)
		case configBlock:
			err = k.parseList(block.Bytes)
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case k.secret == nil || k.config == nil:
		return nil, errors.New("a PRIVATE KEY and an ECHCONFIG are needed: \"vitrine-agent gateway ech\" makes both")
	case !bytes.Equal(k.public, k.secret.PublicKey().Bytes()):
		return nil, errors.New("the configuration is not that of the key: have both made anew")
	}
	return k, nil
}

func (k *Key) parseSecret(der []byte) error {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return fmt.Errorf("read private key: %w", err)
	}
	secret, ok := key.(*ecdh.PrivateKey)
	if !ok || secret.Curve() != ecdh.X25519() {
		return errors.New("the private key is none of X25519, which alone is known here")
	}
	k.secret = secret
	return nil
}

// parseList reads a list with one configuration.
func (k *Key) parseList(b []byte) error {
	var list, contents, key, suites, name cryptobyte.String
	var kind, kem uint16
	var id, pad uint8
	in := cryptobyte.String(b)
	if len(b) > maxConfig || !in.ReadUint16LengthPrefixed(&list) || !in.Empty() {
		return errors.New("the configuration is no ECHConfigList")
	}
	whole := list
	if !list.ReadUint16(&kind) || !list.ReadUint16LengthPrefixed(&contents) || !list.Empty() || kind != version {
		return errors.New("one configuration is needed, of the version of RFC 9849")
	}
	if !contents.ReadUint8(&id) || !contents.ReadUint16(&kem) || !contents.ReadUint16LengthPrefixed(&key) || !contents.ReadUint16LengthPrefixed(&suites) ||
		!contents.ReadUint8(&pad) || !contents.ReadUint8LengthPrefixed(&name) || kem != x25519 || !names.Match(name) {
		return errors.New("the configuration cannot be read, is not for X25519, or names no server")
	}
	k.Name, k.config, k.public = string(name), whole, key
	return nil
}
