package trust

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"net"
	"strconv"
	"time"
)

// impostor is a TLS server that shows the root as its own certificate, and lacks its key. A client judges the certificate before it checks
// who has the key: one that lacks the root finds a stranger's certificate, one that trusts it finds that it is not a server's, not of this
// name, or that the signature is wrong. That tells the two apart without the authority's key, and nothing is said that could be believed.
type impostor struct{ net.Listener }

// handshakeTime bounds how long a client may take.
const handshakeTime = 20 * time.Second

func newImpostor(ctx context.Context, r Root) (*impostor, error) {
	key, err := alike(r.PublicKey)
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &impostor{tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{r.Raw}, PrivateKey: key}}})}
	go i.serve()
	return i, nil
}

// serve fails one client after the other until the listener is closed.
func (i *impostor) serve() {
	for {
		c, err := i.Accept()
		if err != nil {
			return
		}
		_ = c.SetDeadline(time.Now().Add(handshakeTime))
		_ = c.(*tls.Conn).Handshake() // what the client says of it counts
		_ = c.Close()
	}
}

func (i *impostor) port() string { return strconv.Itoa(i.Addr().(*net.TCPAddr).Port) }

// alike makes a key of the kind of another, so that a client waits for its signature.
func alike(public crypto.PublicKey) (crypto.PrivateKey, error) {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.GenerateKey(k.Curve, rand.Reader)
	case ed25519.PublicKey:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return rsa.GenerateKey(rand.Reader, 2048)
}

// Verdicts of OpenSSL (X509_V_ERR_*) with which it has found no root, and those that come once it has one: wrong purpose, wrong name,
// wrong address, not a server's.
var (
	strangers = []string{"2", "18", "19", "20", "21"}
	known     = []string{"24", "26", "62", "64", "79"}
)
