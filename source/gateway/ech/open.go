package ech

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync"
	"time"
)

// Extension is the number of the extension that an encrypted hello is in.
const Extension uint16 = version

// Keys are those of a gateway, the current one first. They are safe for concurrent use; nil has none.
type Keys struct {
	all  []tls.EncryptedClientHelloKey
	list []string // of names, one of a key

	mu   sync.Mutex
	face *x509.Certificate
}

// NewKeys returns Keys that open what was encrypted to any of them, and tell clients of the first.
func NewKeys(list []*Key) (*Keys, error) {
	if len(list) == 0 {
		return nil, nil
	}
	k := new(Keys)
	for i, key := range list {
		k.all = append(k.all, tls.EncryptedClientHelloKey{Config: key.config, PrivateKey: key.secret.Bytes(), SendAsRetry: i == 0})
		k.list = append(k.list, key.Name)
	}
	if _, err := k.Face(time.Now()); err != nil {
		return nil, err
	}
	return k, nil
}

// TLS is for tls.Config.EncryptedClientHelloKeys.
func (k *Keys) TLS() []tls.EncryptedClientHelloKey {
	if k == nil {
		return nil
	}
	return k.all
}

// Names are those outside of hellos that are encrypted to the keys.
func (k *Keys) Names() []string {
	if k == nil {
		return nil
	}
	return k.list
}

// errRead stops a handshake behind its first message.
var errRead = errors.New("the ClientHello is read")

// Open returns the hello inside of the one that a connection begins with, which must be whole; or nil if it is not encrypted to one of the keys.
// It costs two operations on X25519 for each key.
func (k *Keys) Open(first []byte) *tls.ClientHelloInfo {
	if k == nil {
		return nil
	}
	var inner *tls.ClientHelloInfo
	c := tls.Server(&recorded{r: bytes.NewReader(first)}, &tls.Config{
		EncryptedClientHelloKeys: k.all, MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			inner = h
			return nil, errRead
		},
	})
	_ = c.Handshake()
	if !c.ConnectionState().ECHAccepted {
		return nil
	}
	return inner
}

// recorded is a connection on which somebody has said something, and then nothing.
type recorded struct {
	net.Conn // nil: a handshake uses no more than what follows
	r        *bytes.Reader
}

// Read reads what was said.
func (c *recorded) Read(b []byte) (int, error) { return c.r.Read(b) }

// Write has nobody to write to.
func (c *recorded) Write(b []byte) (int, error) { return len(b), nil }

// Close has nothing to close.
func (c *recorded) Close() error { return nil }

// Clients come to see a certificate for the names for as long as it takes to say no to them.
const (
	faceTime = 30 * 24 * time.Hour
	faceLeft = 24 * time.Hour
)

// Face is a certificate for the names, to be mimicked: clients whose hello is not opened want to see one before they believe that.
func (k *Keys) Face(now time.Time) (*x509.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.face != nil && now.Add(faceLeft).Before(k.face.NotAfter) {
		return k.face, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: k.list[0]}, DNSNames: slices.Clone(k.list),
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(faceTime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	k.face, err = x509.ParseCertificate(der)
	return k.face, err
}
