package decrypt_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt"
	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/flow"
)

// chunk is what one write brought, in the order of the wire.
type chunk struct {
	dir flow.Direction
	at  time.Time
	b   []byte
}

// recording is a TLS connection as it was seen on the wire, with what was really said.
type recording struct {
	mu     sync.Mutex
	chunks []chunk
	keys   bytes.Buffer
	said   [2][]byte // application data per direction
}

// Write takes lines of the key log.
func (r *recording) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys.Write(b)
}

func (r *recording) add(dir flow.Direction, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := time.Unix(1_700_000_000, int64(len(r.chunks))*1000)
	r.chunks = append(r.chunks, chunk{dir, at, bytes.Clone(b)})
}

// tap records what is written to a side of a connection before it is sent.
type tap struct {
	net.Conn
	dir flow.Direction
	rec *recording
}

func (t tap) Write(b []byte) (int, error) {
	t.rec.add(t.dir, b)
	return t.Conn.Write(b)
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x1234abcd), Subject: pkix.Name{CommonName: "server.example", Organization: []string{"Example"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"server.example", "www.server.example"}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// turn is something that one side says.
type turn struct {
	dir  flow.Direction
	text []byte
}

// talk records a conversation between Go's client and server.
func talk(t testing.TB, client, server *tls.Config, turns ...turn) *recording {
	t.Helper()
	rec := &recording{}
	client, server = client.Clone(), server.Clone()
	client.KeyLogWriter, client.InsecureSkipVerify = rec, true
	if client.ServerName == "" {
		client.ServerName = "server.example"
	}
	server.Certificates = []tls.Certificate{certificate()}
	a, b := socketPair(t)
	conns := [2]*tls.Conn{tls.Client(tap{a, flow.ToServer, rec}, client), tls.Server(tap{b, flow.ToClient, rec}, server)}
	errs := make(chan error, 1)
	go func() { errs <- conns[1].Handshake() }()
	if err := conns[0].Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	for _, turn := range turns {
		go func() {
			_, err := conns[turn.dir].Write(turn.text)
			errs <- err
		}()
		got := make([]byte, len(turn.text))
		if _, err := io.ReadFull(conns[turn.dir.Reverse()], got); err != nil {
			t.Fatal(err)
		}
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
		rec.said[turn.dir] = append(rec.said[turn.dir], turn.text...)
	}
	conns[0].Close()
	conns[1].Close()
	return rec
}

func socketPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// heard is what a Session told.
type heard struct {
	plain [2][]byte
	lost  [2]int // calls of Lost
	bytes [2]int // told by Lost
	times [2][]time.Time
}

func (h *heard) Plain(dir flow.Direction, at time.Time, b []byte) {
	h.plain[dir] = append(h.plain[dir], b...)
	h.times[dir] = append(h.times[dir], at)
}

func (h *heard) Lost(dir flow.Direction, _ time.Time, n int) {
	h.lost[dir]++
	h.bytes[dir] += n
}

func newWorker(keys decrypt.Keys) *decrypt.Worker {
	return decrypt.NewWorker(decrypt.Config{
		Keys: keys, Certificates: handshake.NewCertificates(16), MaxWaiting: decrypt.DefaultMaxWaiting,
	})
}

func storeOf(text []byte) *keylog.Store {
	s := keylog.NewStore(100)
	s.Add(text)
	return s
}

// replay feeds chunks to a new Session and closes it.
func replay(keys decrypt.Keys, chunks []chunk) (*decrypt.Session, *heard) {
	h := &heard{}
	s := newWorker(keys).NewSession(h)
	for _, c := range chunks {
		s.Data(c.dir, c.at, c.b)
	}
	s.Close(time.Unix(1_800_000_000, 0))
	return s, h
}

// mustHear checks that everything that was said was heard, and nothing else.
func mustHear(t testing.TB, rec *recording, s *decrypt.Session, h *heard) {
	t.Helper()
	for dir := range h.plain {
		if !bytes.Equal(h.plain[dir], rec.said[dir]) {
			t.Errorf("%v: heard %d bytes, said %d", flow.Direction(dir), len(h.plain[dir]), len(rec.said[dir]))
		}
		if h.lost[dir] != 0 {
			t.Errorf("%v: %d losses told", flow.Direction(dir), h.lost[dir])
		}
	}
	_, d := s.Facts()
	if d != (flow.Decryption{State: flow.DecryptedYes, Source: flow.FromKeys}) {
		t.Errorf("got %+v", d)
	}
}

func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

var dialogue = []turn{
	{flow.ToServer, []byte("GET / HTTP/1.1\r\n\r\n")}, {flow.ToClient, text(50_000)}, {flow.ToServer, text(20_000)}, {flow.ToClient, []byte("bye")},
}

func TestEverySuiteOfGo(t *testing.T) {
	for _, suite := range []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	} {
		t.Run(tls.CipherSuiteName(suite), func(t *testing.T) {
			rec := talk(t, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}, NextProtos: []string{"h2", "http/1.1"}},
				&tls.Config{NextProtos: []string{"http/1.1"}}, dialogue...)
			s, h := replay(storeOf(rec.keys.Bytes()), rec.chunks)
			mustHear(t, rec, s, h)
			facts, _ := s.Facts()
			if facts.Version != "TLS 1.2" || facts.Cipher != tls.CipherSuiteName(suite) || facts.SNI != "server.example" ||
				facts.ALPN != "http/1.1" || facts.Certificate == nil || facts.Certificate.Serial != "12:34:AB:CD" || facts.Resumed {
				t.Errorf("got %+v", facts)
			}
		})
	}
	t.Run("TLS 1.3", func(t *testing.T) {
		rec := talk(t, &tls.Config{NextProtos: []string{"h2"}}, &tls.Config{NextProtos: []string{"h2"}}, dialogue...)
		s, h := replay(storeOf(rec.keys.Bytes()), rec.chunks)
		mustHear(t, rec, s, h)
		facts, _ := s.Facts()
		if facts.Version != "TLS 1.3" || facts.ALPN != "h2" || facts.Certificate == nil || len(facts.Certificate.Names) != 2 {
			t.Errorf("got %+v", facts)
		}
	})
}
