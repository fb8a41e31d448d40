package gateway_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// mailman greets, is asked for TLS, and echoes from there on.
func (w *world) mailman(t testing.TB, change func(*tls.Config)) (address string) {
	t.Helper()
	cfg := &tls.Config{Certificates: []tls.Certificate{issue(t, w.public, newECDSA(t), forShop).tls()}}
	if change != nil {
		change(cfg)
	}
	l := listen(t)
	serve(t, l, func(c net.Conn) {
		_, _ = io.WriteString(c, "220 mx.example ESMTP\r\n")
		if _, err := io.ReadFull(c, make([]byte, len(startTLS))); err != nil {
			return
		}
		_, _ = io.WriteString(c, ready)
		s := tls.Server(c, cfg)
		_, _ = io.Copy(s, s)
		_ = s.CloseWrite()
	})
	return l.Addr().String()
}

const (
	startTLS = "STARTTLS\r\n"
	ready    = "220 ready\r\n"
)

// askForTLS holds the conversation in the clear.
func (w *world) askForTLS(t testing.TB, address string) net.Conn {
	t.Helper()
	c := w.connect(t, address)
	expectText(t, c, "220 mx.example ESMTP\r\n")
	_, err := io.WriteString(c, startTLS)
	check(t, err)
	expectText(t, c, ready)
	return c
}

func expectText(t testing.TB, c net.Conn, text string) {
	t.Helper()
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
		t.Fatalf("got %q, %v; want %q", b, err, text)
	}
}

// TestTLSThatBeginsLater upgrades connections: the rules are asked once there is a name, and decide as about other connections.
func TestTLSThatBeginsLater(t *testing.T) {
	rules := inspectAll(policy.Cases{})
	rules.Bypass = []policy.Exception{{ID: "partner", Names: []string{"partner.example"}}}
	rules.Block = []policy.Exception{{ID: "evil", Names: []string{"evil.example"}}}
	w := newWorld(t, options{rules: rules})
	address := w.mailman(t, nil)
	whole := func(c net.Conn) net.Conn { return c }
	for name, tt := range map[string]struct {
		server string
		cut    func(net.Conn) net.Conn
		issuer string // empty: no connection
		why    flow.Decryption
	}{
		"inspected": {"shop.example", whole, "CN=Private CA", flow.Decryption{State: flow.DecryptedYes, Source: flow.FromInspection}},
		"in pieces": {"shop.example", func(c net.Conn) net.Conn { return &slicing{c, 7} }, "CN=Private CA", flow.Decryption{State: flow.DecryptedYes, Source: flow.FromInspection}},
		"bypassed":  {"partner.example", whole, "CN=Public CA", flow.Decryption{State: flow.DecryptedNo, Reason: flow.BypassedByPolicy}},
		"blocked":   {"evil.example", whole, "", flow.Decryption{State: flow.DecryptedNo, Reason: flow.BlockedByPolicy}},
	} {
		c := tls.Client(tt.cut(w.askForTLS(t, address)), &tls.Config{InsecureSkipVerify: true, ServerName: tt.server})
		err := c.Handshake()
		if (err == nil) != (tt.issuer != "") {
			t.Fatalf("%s: %v", name, err)
		}
		if err == nil {
			if got := c.ConnectionState().PeerCertificates[0].Issuer.String(); got != tt.issuer {
				t.Errorf("%s: issued by %s, want %s", name, got, tt.issuer)
			}
			echo(t, c, "hello")
		}
		c.Close()
		r := w.awaitTLS(t)
		if r.TLS.SNI != tt.server || r.Decryption != tt.why || tt.why.State == flow.DecryptedYes && r.TLS.PlaintextBytes != 10 {
			t.Errorf("%s: told %+v, %+v, %+v", name, r.Policy, r.Decryption, r.TLS)
		}
	}
}

// TestClientCertificateLater has an origin ask for a certificate in a connection that has begun in the clear, which cannot be made anew: it
// gets none. If it insists, the client fails, and gets through the next time.
func TestClientCertificateLater(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, auth := range []tls.ClientAuthType{tls.RequestClientCert, tls.RequireAnyClientCert} {
			w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
			address := w.mailman(t, func(c *tls.Config) { c.ClientAuth, c.MaxVersion = auth, version })
			cfg := w.client()
			cfg.RootCAs.AddCert(w.public.cert)
			cfg.Certificates = []tls.Certificate{issue(t, nil, newECDSA(t), forShop).tls()}
			want := flow.Decryption{State: flow.DecryptedYes, Source: flow.FromInspection}
			if auth == tls.RequireAnyClientCert {
				c := tls.Client(w.askForTLS(t, address), cfg)
				_, _ = io.WriteString(c, "let me in")
				if n, err := c.Read(make([]byte, 1)); err == nil || n > 0 {
					t.Fatal("there is an answer")
				}
				c.Close()
				want = flow.Decryption{State: flow.DecryptedNo, Reason: flow.ClientCertificate}
				if r := w.awaitTLS(t); r.Decryption != want || r.Policy.Action != flow.Inspect {
					t.Errorf("version %x: told %+v, %+v", version, r.Policy, r.Decryption)
				}
			}
			c := tls.Client(w.askForTLS(t, address), cfg)
			echo(t, c, "hello")
			c.Close()
			if r := w.awaitTLS(t); r.Decryption != want || (r.Policy.Action == flow.Bypass) != (auth == tls.RequireAnyClientCert) {
				t.Errorf("version %x: told %+v, %+v", version, r.Policy, r.Decryption)
			}
		}
	}
}

// TestWhatOnlyLooksLikeTLS sends what begins as a ClientHello does, in a connection that stays in the clear: it is forwarded as soon as it is
// clear, or too slow. A ClientHello that is so slow does not get to its end.
func TestWhatOnlyLooksLikeTLS(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{}), config: func(c *gateway.Config) { c.Handshake = time.Second }})
	l := listen(t)
	serve(t, l, func(c net.Conn) { _, _ = io.Copy(c, c) })
	c := w.connect(t, l.Addr().String())
	for _, text := range []string{"hello", "\x16\x99", "\x16 and more", "\x16\x03\x01\x00\x04\x02bcd", "\x16\x03\x01\x00\x08\x01\x00\x00\x04abcd", "\x16"} {
		echo(t, c, text)
	}
	echo(t, c, " typed by a person")
	hello := new(said)
	_ = tls.Client(hello, w.client()).Handshake()
	half := hello.text[:len(hello.text)/2]
	echo(t, c, half)
	_, err := io.WriteString(c, hello.text[len(half):])
	check(t, err)
	if n, err := c.Read(make([]byte, 1)); err == nil || n > 0 {
		t.Error("a whole ClientHello was forwarded")
	}
	c.Close()
	if r := w.await(t, "the connection", func(r *event.Record) bool { return r.Kind == event.KindConn }); r.TLS != nil {
		t.Errorf("told %+v", r.TLS)
	}
}

// said is a connection that keeps what is written, and has nothing to read.
type said struct {
	net.Conn
	text string
}

func (s *said) Write(b []byte) (int, error) {
	s.text += string(b)
	return len(b), nil
}

func (*said) Read([]byte) (int, error) { return 0, io.EOF }
func (*said) Close() error             { return nil }
