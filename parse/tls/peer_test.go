package tls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

// taped is a client's connection that remembers what both sides sent.
type taped struct {
	net.Conn
	mu    sync.Mutex
	steps []parsetest.Step
}

func (c *taped) add(dir flow.Direction, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = append(c.steps, parsetest.Step{Dir: dir, Data: slices.Clone(b)})
}

func (c *taped) Write(b []byte) (int, error) {
	c.add(flow.ToServer, b)
	return c.Conn.Write(b)
}

func (c *taped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.add(flow.ToClient, b[:n])
	return n, err
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x1234), Subject: pkix.Name{CommonName: "inner.example"}, DNSNames: []string{"inner.example"},
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(2_000_000_000, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// converse has Go's client and server shake hands and say a word each way. It returns what was sent.
func converse(t *testing.T, client, server *tls.Config) ([]parsetest.Step, tls.ConnectionState) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- answer(listener) }()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	tape := &taped{Conn: conn}
	c := tls.Client(tape, client)
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	state := c.ConnectionState()
	_ = conn.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return tape.steps, state
}

// answer takes one connection.
func answer(listener net.Listener) error {
	defer func() { _ = listener.Close() }()
	s, err := listener.Accept()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if _, err := io.ReadFull(s, make([]byte, 4)); err != nil {
		return err
	}
	_, err = s.Write([]byte("pong"))
	return err
}

// TestGoPeers compares the events with what Go's own client says of the connection.
func TestGoPeers(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			server := &tls.Config{Certificates: []tls.Certificate{certificate(t)}, NextProtos: []string{"h2"}, MaxVersion: version}
			client := &tls.Config{
				ServerName: "inner.example", InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}, MinVersion: version,
				ClientSessionCache: tls.NewLRUClientSessionCache(1),
			}
			for _, resumed := range []bool{false, true} {
				steps, state := converse(t, client, server)
				if state.DidResume != resumed {
					t.Fatalf("the client says resumed is %v, want %v", state.DidResume, resumed)
				}
				check(t, parsetest.Bodies(t, steps, Protocol), state)
			}
		})
	}
}

func check(t *testing.T, bodies []event.Body, state tls.ConnectionState) {
	t.Helper()
	if len(bodies) != 1 {
		t.Fatalf("got %d events, want one: %+v", len(bodies), bodies)
	}
	type facts struct {
		Version, Cipher, SNI string
		Offered              []string
		Resumed              bool
		Subject              string
		Names                []string
		Decryption           flow.Decryption
	}
	want := facts{
		Version: tls.VersionName(state.Version), Cipher: tls.CipherSuiteName(state.CipherSuite), SNI: "inner.example",
		Offered: []string{"h2", "http/1.1"}, Resumed: state.DidResume,
		Decryption: flow.Decryption{State: flow.DecryptedNo, Reason: flow.Tunnelled},
	}
	if state.Version < tls.VersionTLS13 && !state.DidResume { // else the certificate is encrypted, or not sent
		want.Subject, want.Names = "CN=inner.example", []string{"inner.example"}
	}
	e, ok := bodies[0].(*event.TLS)
	if !ok {
		t.Fatalf("unexpected: %+v", bodies[0])
	}
	f := e.Facts
	got := facts{Version: f.Version, Cipher: f.Cipher, SNI: f.SNI, Offered: f.ClientALPNs, Resumed: f.Resumed, Decryption: e.Decryption}
	if f.Certificate != nil {
		got.Subject, got.Names = f.Certificate.Subject, f.Certificate.Names
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
