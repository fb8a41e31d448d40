package gateway_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// echo checks that the tunnel leads to who answers with the same.
func echo(t testing.TB, c io.ReadWriter, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
		t.Fatalf("got %q, %v; want %q", b, err, text)
	}
}

func (w *world) shop(t testing.TB, change func(*tls.Config)) (address string, failures <-chan error) {
	t.Helper()
	cfg := &tls.Config{Certificates: []tls.Certificate{issue(t, w.public, newECDSA(t), forShop).tls()}}
	if change != nil {
		change(cfg)
	}
	return serveTLS(t, cfg)
}

// TestDecisions checks whose certificate a client sees, and what is told, by the rules.
func TestDecisions(t *testing.T) {
	rules := inspectAll(policy.Cases{})
	rules.Bypass = []policy.Exception{{ID: "banks", Names: []string{"*.bank.example"}}}
	rules.Block = []policy.Exception{{ID: "evil", Names: []string{"evil.example", "evil.localhost"}}}
	w := newWorld(t, options{rules: rules})
	names := func(c *x509.Certificate) {
		forShop(c)
		c.DNSNames = []string{"shop.example", "my.bank.example", "evil.example"}
	}
	address, _ := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{issue(t, w.public, newECDSA(t), names).tls()}})
	for _, tt := range []struct {
		name   string
		issuer string // empty: no connection
		action flow.Action
		rule   string
		why    flow.Decryption
	}{
		{"shop.example", "CN=Private CA", flow.Inspect, "", flow.Decryption{State: flow.DecryptedYes, Source: flow.FromInspection}},
		{"my.bank.example", "CN=Public CA", flow.Bypass, "banks", flow.Decryption{State: flow.DecryptedNo, Reason: flow.BypassedByPolicy}},
		{"evil.example", "", flow.Block, "evil", flow.Decryption{State: flow.DecryptedNo, Reason: flow.BlockedByPolicy}},
	} {
		c, err := w.handshake(t, address, &tls.Config{InsecureSkipVerify: true, ServerName: tt.name})
		if (err == nil) != (tt.issuer != "") {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if err == nil {
			if got := c.ConnectionState().PeerCertificates[0].Issuer.String(); got != tt.issuer {
				t.Errorf("%s: issued by %s, want %s", tt.name, got, tt.issuer)
			}
			echo(t, c, "hello")
		}
		c.Close()
		r := w.awaitTLS(t)
		if r.Policy.Action != tt.action || r.Policy.Rule != tt.rule || r.Policy.ID != "all" || r.Decryption != tt.why || r.TLS.SNI != tt.name || r.TLS.JA4 == "" {
			t.Errorf("%s: told %+v, %+v, %+v", tt.name, r.Policy, r.Decryption, r.TLS)
		}
		if tt.action == flow.Inspect && (r.TLS.PlaintextBytes != 10 || r.TLS.Certificate == nil || r.TLS.Cipher == "") {
			t.Errorf("%s: told %+v", tt.name, r.TLS)
		}
		conn := w.await(t, "the connection", func(r *event.Record) bool { return r.Kind == event.KindConn })
		if tt.action != flow.Block && (conn.Conn.BytesToServer < 300 || conn.Conn.BytesToClient < 300) {
			t.Errorf("%s: told %+v", tt.name, conn.Conn)
		}
	}
	if s := w.Stats(); s.Actions[flow.Inspect] != 1 || s.Actions[flow.Bypass] != 1 || s.Actions[flow.Block] != 1 || s.Reasons[flow.BlockedByPolicy] != 1 {
		t.Errorf("counted %+v", s)
	}
}

func TestOutsideEveryScope(t *testing.T) {
	w := newWorld(t, options{})
	address, _ := w.shop(t, nil)
	cfg := w.client()
	cfg.RootCAs = w.public.pool()
	c, err := w.handshake(t, address, cfg)
	check(t, err)
	echo(t, c, "hello")
	c.Close()
	if r := w.awaitTLS(t); r.Policy.Action != flow.Bypass || r.Policy.ID != "" || r.Decryption != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.OutsideScope}) {
		t.Errorf("told %+v, %+v", r.Policy, r.Decryption)
	}
}

// TestRefusedRequests asks for what the gateway does not connect to.
func TestRefusedRequests(t *testing.T) {
	rules := inspectAll(policy.Cases{})
	rules.Block = []policy.Exception{{ID: "net", Addresses: []policy.Addresses{{Prefix: netip4(t, "203.0.113.0/24")}}}}
	w := newWorld(t, options{rules: rules, guarded: true})
	address, _ := w.shop(t, nil)
	for target, want := range map[string]int{
		address: http.StatusForbidden, "localhost:" + port(address): http.StatusForbidden, "169.254.169.254:80": http.StatusForbidden,
		"[::ffff:127.0.0.1]:" + port(address): http.StatusForbidden, "203.0.113.9:443": http.StatusForbidden, "no.such.name.invalid:443": http.StatusBadGateway,
	} {
		if _, status := w.ask(t, "CONNECT "+target+" HTTP/1.1\r\nHost: x\r\n\r\n"); status != want {
			t.Errorf("%s: %d, want %d", target, status, want)
		}
		r := w.await(t, "a refusal", func(r *event.Record) bool { return r.Kind == event.KindConn })
		why, told := flow.Guarded, &flow.Policy{Action: flow.Block}
		switch target {
		case "203.0.113.9:443":
			why, told = flow.BlockedByPolicy, &flow.Policy{ID: "all", Scope: "web", Rule: "net", Action: flow.Block}
		case "no.such.name.invalid:443":
			why, told = flow.Unreachable, nil
		}
		host, asked, err := net.SplitHostPort(target)
		check(t, err)
		if r.Conn.Asked != host || strconv.Itoa(int(r.Server.Port)) != asked || r.Decryption != (flow.Decryption{Reason: why}) || !reflect.DeepEqual(r.Policy, told) {
			t.Errorf("%s: told %+v to %v, %+v, %+v", target, r.Conn, r.Server, r.Decryption, r.Policy)
		}
		if r.Server.IP.IsValid() != (why != flow.Unreachable) || (r.CommunityID != "") != r.Server.IP.IsValid() {
			t.Errorf("%s: told of a server at %v, %q", target, r.Server, r.CommunityID)
		}
	}
	if s := w.Stats(); s.Guarded != 4 || s.Blocked != 1 || s.Unreachable != 1 {
		t.Errorf("counted %+v", s)
	}
	free := listen(t)
	free.Close()
	w = newWorld(t, options{})
	if _, status := w.ask(t, "CONNECT "+free.Addr().String()+" HTTP/1.1\r\nHost: x\r\n\r\n"); status != http.StatusBadGateway {
		t.Errorf("a closed port: %d", status)
	}
}

// TestClientCertificate has an origin that asks for a certificate, which the client has: it gets through on the first try, and
// the next connection costs the origin no handshake in vain.
func TestClientCertificate(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, choice := range []policy.Choice{policy.Bypass, policy.Block} {
			w := newWorld(t, options{rules: inspectAll(policy.Cases{ClientCertificate: choice})})
			address, failures := w.shop(t, func(c *tls.Config) {
				c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, version
			})
			cfg := w.client()
			cfg.RootCAs, cfg.Certificates = w.public.pool(), []tls.Certificate{issue(t, nil, newECDSA(t), forShop).tls()}
			for i := range 2 {
				c, err := w.handshake(t, address, cfg)
				if choice == policy.Block {
					if err == nil {
						t.Error("it was let through")
					}
				} else {
					check(t, err)
					echo(t, c, "with my certificate")
				}
				c.Close()
				if r := w.awaitTLS(t); r.Decryption != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.ClientCertificate}) || string(r.Policy.Action) != string(choice) {
					t.Errorf("told %+v, %+v", r.Policy, r.Decryption)
				}
				if n := len(failures); n > 1 && choice == policy.Bypass {
					t.Errorf("connection %d: %d handshakes in vain", i+1, n)
				}
			}
		}
	}
}

// slicing is a connection that writes in pieces.
type slicing struct {
	net.Conn
	size int
}

func (s *slicing) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		k := 0
		k, err = s.Conn.Write(b[:min(s.size, len(b))])
		n, b = n+k, b[k:]
		time.Sleep(time.Microsecond)
	}
	return n, err
}

// splitting cuts the first record that is written, a ClientHello, into records of one size.
type splitting struct {
	net.Conn
	size int
}

func (s *splitting) Write(b []byte) (int, error) {
	if s.size == 0 {
		return s.Conn.Write(b)
	}
	var out []byte
	for rest := b[5:]; len(rest) > 0; rest = rest[min(s.size, len(rest)):] {
		out = append(out, b[:3]...)
		out = binary.BigEndian.AppendUint16(out, uint16(min(s.size, len(rest))))
		out = append(out, rest[:min(s.size, len(rest))]...)
	}
	s.size = 0
	_, err := s.Conn.Write(out)
	return len(b), err
}

// TestHelloInPieces sends a post-quantum ClientHello byte by byte, and in many records. Both sides agree on a post-quantum key exchange.
func TestHelloInPieces(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	curves := make(chan tls.CurveID, 10)
	address, _ := w.shop(t, func(c *tls.Config) {
		c.VerifyConnection = func(s tls.ConnectionState) error {
			curves <- s.CurveID
			return nil
		}
	})
	for name, cut := range map[string]func(net.Conn) net.Conn{
		"segments": func(c net.Conn) net.Conn { return &slicing{c, 7} },
		"records":  func(c net.Conn) net.Conn { return &splitting{c, 11} },
	} {
		c := tls.Client(cut(w.connect(t, address)), w.client())
		if err := c.Handshake(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		echo(t, c, "hello")
		if here, there := c.ConnectionState().CurveID, <-curves; here != tls.X25519MLKEM768 || there != tls.X25519MLKEM768 {
			t.Errorf("%s: key exchanges %v and %v", name, here, there)
		}
		c.Close()
		if r := w.awaitTLS(t); r.TLS.SNI != "shop.example" || r.Decryption.State != flow.DecryptedYes {
			t.Errorf("%s: told %+v", name, r)
		}
	}
}

// TestResumption has a client resume its session, but not once the origin shows another certificate.
func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
		first, second := issue(t, w.public, newECDSA(t), forShop).tls(), issue(t, w.public, newECDSA(t), forShop).tls()
		current := &first
		address, _ := serveTLS(t, &tls.Config{SessionTicketsDisabled: true, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current, nil }})
		cfg := w.client()
		cfg.MaxVersion, cfg.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
		for i, want := range []bool{false, true, true, false, true} {
			if i == 3 {
				current = &second
			}
			c, err := w.handshake(t, address, cfg)
			check(t, err)
			echo(t, c, "hello")
			if got := c.ConnectionState().DidResume; got != want {
				t.Errorf("version %x, connection %d: resumed is %t", version, i+1, got)
			}
			c.Close()
			if r := w.awaitTLS(t); r.TLS.Resumed != want {
				t.Errorf("told resumed %t", r.TLS.Resumed)
			}
		}
	}
}

// TestECH has a client that hides its ClientHello inside another one. What the gateway answers is the outer one, for the public name;
// so the client learns that it has to try again without.
func TestECH(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	names := func(c *x509.Certificate) {
		forShop(c)
		c.DNSNames = append(c.DNSNames, "public.example")
	}
	address, _ := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{issue(t, w.public, newECDSA(t), names).tls()}})
	cfg := w.client()
	cfg.EncryptedClientHelloConfigList = echConfigs(t, "public.example")
	_, err := w.handshake(t, address, cfg)
	rejected, ok := errors.AsType[*tls.ECHRejectionError](err)
	if !ok || len(rejected.RetryConfigList) > 0 {
		t.Fatalf("the client finds %v", err)
	}
	if r := w.awaitTLS(t); r.Decryption != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.EncryptedHello}) || r.TLS.SNI != "public.example" {
		t.Errorf("told %+v, %+v", r.Decryption, r.TLS)
	}
	cfg.EncryptedClientHelloConfigList = nil
	c, err := w.handshake(t, address, cfg)
	check(t, err)
	echo(t, c, "again")
	c.Close()
	if r := w.awaitTLS(t); r.Decryption.State != flow.DecryptedYes || r.TLS.SNI != "shop.example" {
		t.Errorf("told %+v, %+v", r.Decryption, r.TLS)
	}
}

// echConfigs makes an ECHConfigList (RFC 9849 §4) whose key nobody has.
func echConfigs(t testing.TB, public string) []byte {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	check(t, err)
	pub := key.PublicKey().Bytes()
	contents := []byte{1, 0, 0x20, 0, byte(len(pub))} // config id, DHKEM(X25519)
	contents = append(contents, pub...)
	contents = append(contents, 0, 4, 0, 1, 0, 1, 64, byte(len(public))) // HKDF-SHA256 with AES-128-GCM, longest name
	contents = append(contents, public...)
	contents = append(contents, 0, 0)
	config := binary.BigEndian.AppendUint16([]byte{0xfe, 0x0d}, uint16(len(contents)))
	config = append(config, contents...)
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(config))), config...)
}

// TestOriginThatFails has origins that are no good at TLS. The client must not take it for a regular end.
func TestOriginThatFails(t *testing.T) {
	for name, handle := range map[string]func(net.Conn){
		"closes": func(net.Conn) {},
		"speaks no TLS": func(c net.Conn) {
			_, _ = io.CopyN(io.Discard, c, 100)
			_, _ = io.WriteString(c, "HTTP/1.0 400 no\r\n\r\n")
		},
		"sends an alert": func(c net.Conn) {
			_, _ = io.CopyN(io.Discard, c, 100)
			_, _ = io.WriteString(c, "\x15\x03\x01\x00\x02\x02\x50")
		},
	} {
		w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
		l := listen(t)
		serve(t, l, handle)
		if _, err := w.handshake(t, l.Addr().String(), w.client()); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: the client finds %v", name, err)
		}
		if r := w.awaitTLS(t); r.Decryption != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.OriginFailed}) {
			t.Errorf("%s: told %+v", name, r.Decryption)
		}
	}
}

// TestTheEndIsTheSame checks that a client sees TLS end as the origin has ended it: regularly, or cut off.
func TestTheEndIsTheSame(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	for _, cut := range []bool{false, true} {
		l := listen(t)
		cfg := &tls.Config{Certificates: []tls.Certificate{issue(t, w.public, newECDSA(t), forShop).tls()}}
		serve(t, l, func(c net.Conn) {
			s := tls.Server(c, cfg)
			_, _ = io.WriteString(s, "answer")
			if !cut {
				_ = s.CloseWrite()
			}
		})
		fin := &finSeen{Conn: w.connect(t, l.Addr().String())}
		c := tls.Client(fin, w.client())
		check(t, c.Handshake())
		b, err := io.ReadAll(c) // which ends at either end
		if string(b) != "answer" || err != nil || fin.seen != cut {
			t.Errorf("cut is %t: the client reads %q, %v, and TLS was cut off: %t", cut, b, err, fin.seen)
		}
		c.Close()
	}
}

// finSeen notes whether the end of the connection was met before that of TLS.
type finSeen struct {
	net.Conn
	seen bool
}

func (f *finSeen) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	f.seen = f.seen || errors.Is(err, io.EOF)
	return n, err
}

// TestHalfClosed has a client end its direction before the origin answers.
func TestHalfClosed(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	l := listen(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{issue(t, w.public, newECDSA(t), forShop).tls()}}
	serve(t, l, func(c net.Conn) {
		s := tls.Server(c, cfg)
		b, _ := io.ReadAll(s)
		_, _ = io.WriteString(s, strings.ToUpper(string(b)))
		_ = s.CloseWrite()
	})
	c, err := w.handshake(t, l.Addr().String(), w.client())
	check(t, err)
	_, err = io.WriteString(c, "question")
	check(t, err)
	check(t, c.CloseWrite())
	if b, err := io.ReadAll(c); string(b) != "QUESTION" || err != nil {
		t.Errorf("the client reads %q, %v", b, err)
	}
}

// TestServerSpeaksFirst has a server whose client waits for it: that is no TLS, and is inspected as it is, or not, or not let through.
func TestServerSpeaksFirst(t *testing.T) {
	for _, choice := range []policy.Choice{policy.Inspect, policy.Bypass, policy.Block} {
		w := newWorld(t, options{rules: inspectAll(policy.Cases{NotTLS: choice})})
		l := listen(t)
		serve(t, l, func(c net.Conn) {
			_, _ = io.WriteString(c, "220 ftp.example\r\n")
			_, _ = io.ReadFull(c, make([]byte, 10))
			_, _ = io.WriteString(c, "331 Password?\r\n")
		})
		c := w.connect(t, l.Addr().String())
		b := make([]byte, 17)
		if _, err := io.ReadFull(c, b); (err == nil) != (choice != policy.Block) {
			t.Errorf("%s: %v", choice, err)
		}
		if choice != policy.Block {
			_, err := io.WriteString(c, "USER ann\r\n")
			check(t, err)
			if rest, err := io.ReadAll(c); err != nil || string(rest) != "331 Password?\r\n" {
				t.Errorf("%s: got %q, %v", choice, rest, err)
			}
		}
		c.Close()
		if choice == policy.Inspect {
			w.await(t, "the command", func(r *event.Record) bool { return r.Kind == event.KindFTP && r.FTP.Command == "USER" })
		}
		r := w.await(t, "the connection", func(r *event.Record) bool { return r.Kind == event.KindConn })
		if string(r.Policy.Action) != string(choice) || r.TLS != nil || (r.Conn.PlaintextBytes > 0) != (choice == policy.Inspect) {
			t.Errorf("%s: told %+v, %+v", choice, r.Policy, r.Conn)
		}
	}
}

// TestLimits has clients that are too slow, too silent, and too many.
func TestLimits(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{}), config: func(c *gateway.Config) {
		c.Handshake, c.Idle, c.Limits.Conns = 2*time.Second, 2*time.Second, 2
	}})
	address, _ := w.shop(t, nil)
	silent, err := net.Dial("tcp", w.proxy)
	check(t, err)
	defer silent.Close()
	slow := w.connect(t, address)
	third, err := net.Dial("tcp", w.proxy)
	check(t, err)
	defer third.Close()
	for name, c := range map[string]net.Conn{"silent at the proxy": silent, "silent in the tunnel": slow, "one too many": third} {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 200)); err == nil && name != "silent at the proxy" {
			t.Errorf("%s: got an answer", name)
		} else if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			t.Errorf("%s: the connection lives on", name)
		}
	}
	if s := w.Stats(); s.OverCapacity != 1 {
		t.Errorf("counted %+v", s)
	}
	for end := time.Now().Add(patience); w.Stats().Open > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("they live on")
		}
	}
	c, err := w.handshake(t, address, w.client())
	check(t, err)
	for range 10 { // longer than each may be silent
		time.Sleep(250 * time.Millisecond)
		echo(t, c, "x")
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("it may be silent for ever")
	} else if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		t.Error("it may be silent for ever")
	}
}

// TestWaitingIsNoWayAround has a client say nothing, or only a part of its hello, until it is known to be slow. Where it is to be inspected it
// or a rule could block its name it does not get any further; where not, it may take its time.
func TestWaitingIsNoWayAround(t *testing.T) {
	block := []policy.Exception{{ID: "evil", Names: []string{"shop.example"}}}
	for _, rules := range []policy.Rules{inspectAll(policy.Cases{}), {}, {Block: block}} {
		inspected := len(rules.Policies) > 0
		free := !inspected && len(rules.Block) == 0
		w := newWorld(t, options{rules: rules, config: func(c *gateway.Config) { c.Handshake = 700 * time.Millisecond }})
		address, _ := w.shop(t, nil)
		for _, early := range []int{0, 100} {
			c := tls.Client(&lateConn{Conn: w.connect(t, address), early: early, wait: 1500 * time.Millisecond}, &tls.Config{RootCAs: w.public.pool(), ServerName: "shop.example"})
			if err := c.Handshake(); (err == nil) != free {
				t.Errorf("%d bytes early, inspected is %t: %v", early, inspected, err)
			}
			c.Close()
			r := w.await(t, "the connection", func(r *event.Record) bool { return r.Kind == event.KindConn })
			if want := map[bool]flow.Action{true: flow.Inspect, false: flow.Bypass}[inspected]; r.Policy.Action != want || r.Conn.PlaintextBytes > 0 {
				t.Errorf("%d bytes early: told %+v, %+v", early, r.Policy, r.Conn)
			}
		}
	}
}

// lateConn waits in the midst of its first write.
type lateConn struct {
	net.Conn
	early int
	wait  time.Duration
}

func (l *lateConn) Write(b []byte) (int, error) {
	if l.wait == 0 {
		return l.Conn.Write(b)
	}
	n, err := l.Conn.Write(b[:l.early])
	if err != nil {
		return n, err
	}
	time.Sleep(l.wait)
	l.wait = 0
	m, err := l.Conn.Write(b[l.early:])
	return n + m, err
}

// TestNothingStaysBehind has a client say more at once than is read at once, in records that do not end where that does, and wait.
func TestNothingStaysBehind(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	address, _ := w.shop(t, nil)
	held := &holding{Conn: w.connect(t, address)}
	cfg := w.client()
	cfg.DynamicRecordSizingDisabled = true
	c := tls.Client(held, cfg)
	check(t, c.Handshake())
	held.on = true
	const record, records = 14_000, 5
	said := bytes.Repeat([]byte("say something "), record/14)
	for range records {
		_, err := c.Write(said)
		check(t, err)
	}
	_, err := held.Conn.Write(held.said)
	check(t, err)
	check(t, c.SetReadDeadline(time.Now().Add(patience)))
	if n, err := io.ReadFull(c, make([]byte, record*records)); err != nil {
		t.Errorf("%d of %d bytes came back: %v", n, record*records, err)
	}
}

// holding keeps what is written.
type holding struct {
	net.Conn
	on   bool
	said []byte
}

func (h *holding) Write(b []byte) (int, error) {
	if !h.on {
		return h.Conn.Write(b)
	}
	h.said = append(h.said, b...)
	return len(b), nil
}

// TestLargeTransfer sends more than any buffer holds, both ways at once.
func TestLargeTransfer(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	address, _ := w.shop(t, nil)
	c, err := w.handshake(t, address, w.client())
	check(t, err)
	const size = 20 << 20
	go func() {
		b := make([]byte, 64<<10)
		for range size / len(b) {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
		_ = c.CloseWrite()
	}()
	if n, err := io.Copy(io.Discard, c); n != size || err != nil {
		t.Errorf("%d bytes came back, %v", n, err)
	}
	c.Close()
	if r := w.awaitTLS(t); r.TLS.PlaintextBytes != 2*size {
		t.Errorf("told %d bytes", r.TLS.PlaintextBytes)
	}
}

// TestStopEndsConnections stops a gateway with an open connection: newWorld waits for it, and goleak for all that it has begun.
func TestStopEndsConnections(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	address, _ := w.shop(t, nil)
	for range 3 {
		c, err := w.handshake(t, address, w.client())
		check(t, err)
		echo(t, c, "hello")
	}
	w.connect(t, address) // in the midst of nothing
}
