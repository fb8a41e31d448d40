package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/all"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/admission"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/front"
	"github.com/vitrine-ndr/vitrine/source/gateway/origin"
	"github.com/vitrine-ndr/vitrine/source/gateway/pin"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// loopback is where tests take place.
var loopback = netip.MustParsePrefix("127.0.0.0/8")

// identity is a certificate and its key.
type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// issue makes a certificate, signed by the parent or, if that is nil, by itself.
func issue(t testing.TB, parent *identity, key crypto.Signer, change func(*x509.Certificate)) *identity {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(c)
	by := &identity{c, key}
	if parent != nil {
		by = parent
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{cert, key}
}

func newECDSA(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newRSA(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newRoot makes an authority.
func newRoot(t testing.TB, name string, key crypto.Signer) *identity {
	t.Helper()
	return issue(t, nil, key, func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.KeyUsage, c.ExtKeyUsage = pkix.Name{CommonName: name}, true, x509.KeyUsageCertSign, nil
	})
}

// forShop names a server's certificate.
func forShop(c *x509.Certificate) {
	c.Subject, c.DNSNames = pkix.Name{CommonName: "shop.example"}, []string{"shop.example", "localhost"}
	c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
}

func (i *identity) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(i.cert)
	return p
}

func (i *identity) tls(rest ...*identity) tls.Certificate {
	c := tls.Certificate{Certificate: [][]byte{i.cert.Raw}, PrivateKey: i.key}
	for _, r := range rest {
		c.Certificate = append(c.Certificate, r.cert.Raw)
	}
	return c
}

// files writes certificate and key in PEM.
func (i *identity) files(t testing.TB, dir string, rest ...*identity) (cert, key string) {
	t.Helper()
	var text []byte
	for _, c := range append([]*identity{i}, rest...) {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})...)
	}
	secret, err := authority.Seal(i.key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, "cert.pem", text), write(t, dir, "key.pem", secret)
}

func write(t testing.TB, dir, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// world is a gateway that runs, the public authority that origins have their certificates of, and the one that clients trust.
type world struct {
	*gateway.Gateway
	pins            *pin.Table
	public, private *identity
	proxy, socks    string // addresses of the front ends

	mu      sync.Mutex
	records []*event.Record
	changed chan struct{} // closed and made anew with each record
}

// everything is a policy about all that tests do.
const everything = "0.0.0.0/0"

func inspectAll(cases policy.Cases) policy.Rules {
	any := []policy.Addresses{{Prefix: netip.MustParsePrefix(everything)}}
	return policy.Rules{Policies: []policy.Policy{{
		ID: "all", Cases: cases, Scopes: []policy.Scope{{ID: "web", Sources: any, Destinations: any, DestinationPorts: []policy.Ports{policy.AnyPort}}},
	}}}
}

// options change a world before it begins.
type options struct {
	rules   policy.Rules
	sink    source.Sink // instead of inspect's
	users   *front.Users
	guarded bool      // loopback too
	public  *identity // nil: a new one; so for private
	private *identity
	config  func(*gateway.Config)
}

// newWorld runs a gateway until the test ends.
func newWorld(t testing.TB, o options) *world {
	t.Helper()
	w := &world{pins: pin.New(pin.Config{}), public: o.public, private: o.private, changed: make(chan struct{})}
	if w.public == nil {
		w.public = newRoot(t, "Public CA", newECDSA(t))
	}
	if w.private == nil {
		w.private = newRoot(t, "Private CA", newECDSA(t))
	}
	a, err := authority.New([]*x509.Certificate{w.private.cert}, w.private.key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	mint, err := authority.NewMint(a, authority.DefaultCache, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Compile(o.rules)
	if err != nil {
		t.Fatal(err)
	}
	proxy, socks := listen(t), listen(t)
	w.proxy, w.socks = proxy.Addr().String(), socks.Addr().String()
	cfg := gateway.Config{
		Listeners: []gateway.Listener{{Listener: proxy, Front: front.Connect(o.users)}, {Listener: socks, Front: front.SOCKS5(o.users)}},
		Rules:     rules, Mints: map[string]*authority.Mint{"": mint}, Judge: origin.NewJudge(w.public.pool()), Guard: &origin.Guard{}, Pins: w.pins,
		Hold: gateway.DefaultHold, Limits: admission.Limits{Conns: 100, PerClient: 100, Inspected: 100, Greetings: 1 << 20}, Handshake: patience, Idle: time.Minute, Seed: flow.NewSeed(),
	}
	if !o.guarded {
		cfg.Guard.Allow = []netip.Prefix{loopback}
	}
	if o.config != nil {
		o.config(&cfg)
	}
	if w.Gateway, err = gateway.New(cfg, testkit.Logger(t)); err != nil {
		t.Fatal(err)
	}
	sink := o.sink
	if sink == nil {
		sink = w.inspector()
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, sink) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := w.Stats(); n.Panics > 0 || n.Open > 0 {
			t.Errorf("%d panics, %d connections open at the end", n.Panics, n.Open)
		}
	})
	return w
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func (w *world) inspector() source.Sink {
	return inspect.New(inspect.Config{
		Protocols: all.Protocols, Unknown: all.Unknown, Limits: parse.DefaultLimits, Time: inspect.DefaultTime,
		Origin: event.Origin{Vantage: event.Gateway}, Emit: func(e *event.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.records = append(w.records, e.Record())
			close(w.changed)
			w.changed = make(chan struct{})
		},
	})
}

// await returns the first record that fits, once it is there, and forgets all up to it.
func (w *world) await(t testing.TB, what string, fits func(*event.Record) bool) *event.Record {
	t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		i := slices.IndexFunc(w.records, fits)
		if i >= 0 {
			r := w.records[i]
			w.records = slices.Delete(w.records, 0, i+1)
			w.mu.Unlock()
			return r
		}
		n, changed := len(w.records), w.changed
		w.mu.Unlock()
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s was not told, but %d other events; %+v", what, n, w.Stats())
		}
	}
}

// awaitTLS returns the facts of the next TLS connection that has ended.
func (w *world) awaitTLS(t testing.TB) *event.Record {
	t.Helper()
	return w.await(t, "a TLS connection", func(r *event.Record) bool { return r.Kind == event.KindTLS })
}

// connect asks the proxy for an address and returns the tunnel.
func (w *world) connect(t testing.TB, address string) net.Conn {
	t.Helper()
	c, status := w.ask(t, "CONNECT "+address+" HTTP/1.1\r\nHost: "+address+"\r\n\r\n")
	if status != http.StatusOK {
		t.Fatalf("CONNECT %s: %d", address, status)
	}
	return c
}

// ask sends a request to the proxy and returns the status of its response.
func (w *world) ask(t testing.TB, request string) (net.Conn, int) {
	t.Helper()
	c, err := net.Dial("tcp", w.proxy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	head := oneByOne{c}
	resp, err := http.ReadResponse(bufio.NewReaderSize(head, 16), &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return c, resp.StatusCode
}

// oneByOne is a reader that reads nothing ahead.
type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(b []byte) (int, error) { return o.r.Read(b[:1]) }

// client trusts the gateway's authority.
func (w *world) client() *tls.Config {
	return &tls.Config{RootCAs: w.private.pool(), ServerName: "shop.example"}
}

// handshake connects through the gateway and shakes hands.
func (w *world) handshake(t testing.TB, address string, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	c := tls.Client(w.connect(t, address), cfg)
	return c, c.Handshake()
}

// serveTLS answers each connection with what it was sent, and returns its address. What handshakes fail with goes to the channel.
func serveTLS(t testing.TB, cfg *tls.Config) (address string, failures <-chan error) {
	t.Helper()
	l := listen(t)
	failed := make(chan error, 100)
	serve(t, l, func(c net.Conn) {
		s := tls.Server(c, cfg)
		if err := s.Handshake(); err != nil {
			failed <- err
			return
		}
		_, _ = io.Copy(s, s)
		_ = s.CloseWrite()
	})
	return l.Addr().String(), failed
}

// serve handles connections until the test ends.
func serve(t testing.TB, l net.Listener, handle func(net.Conn)) {
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			all.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
}

// run runs a program to its end and returns its output and its exit status.
func run(t testing.TB, stdin string, name string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, testkit.Need(t, name), args...)
	cmd.Stdin = bytes.NewBufferString(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func port(address string) string {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		panic(fmt.Sprint(address, ": ", err))
	}
	return p
}

// watched is a sink that tells when its first Stream is closed.
type watched struct {
	source.Sink
	ended chan struct{}
}

// Open hands the Stream on.
func (w *watched) Open(c *flow.Conn) source.Stream { return &watchedStream{w.Sink.Open(c), w.ended} }

type watchedStream struct {
	source.Stream
	ended chan struct{}
}

// Close closes the Stream, then tells.
func (w *watchedStream) Close(at time.Time) {
	w.Stream.Close(at)
	close(w.ended)
}

func netip4(t testing.TB, s string) netip.Prefix {
	t.Helper()
	p, err := netip.ParsePrefix(s)
	check(t, err)
	return p
}

// serveHTTP answers every request with "fine" until the test ends.
func serveHTTP(t testing.TB, l net.Listener) {
	t.Helper()
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") }), ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l) // which the end of the test closes
	}()
	t.Cleanup(func() {
		s.Close()
		<-ended
	})
}
