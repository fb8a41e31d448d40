package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway/pin"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// pinning is a client that accepts only one certificate, and says so.
func pinning(only *x509.Certificate, cfg *tls.Config) *tls.Config {
	cfg.InsecureSkipVerify, cfg.ServerName = true, "shop.example"
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		if !bytes.Equal(s.PeerCertificates[0].Raw, only.Raw) {
			return errors.New("not the certificate that I know")
		}
		return nil
	}
	return cfg
}

// bundle writes the certificates of several authorities into one file.
func bundle(t testing.TB, all ...*identity) string {
	t.Helper()
	path, _ := all[0].files(t, t.TempDir(), all[1:]...)
	return path
}

// trusts has the client of these tests accept the gateway's certificate for another name.
func (w *world) trusts(t testing.TB) {
	t.Helper()
	id := issue(t, w.public, newECDSA(t), func(c *x509.Certificate) { c.DNSNames = []string{"other.example"} })
	address, _ := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{id.tls()}})
	cfg := w.client()
	cfg.ServerName = "other.example"
	c, err := w.handshake(t, address, cfg)
	check(t, err)
	echo(t, c, "hello")
	c.Close()
	w.awaitTLS(t)
}

var isPinned = flow.Decryption{State: flow.DecryptedNo, Reason: flow.Pinned}

// TestPinnedKey has a Go program that knows its server's key, in each version: after two refusals it gets through, and others are still
// inspected. Where nothing may be bypassed, it never does.
func TestPinnedKey(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for choice, want := range map[policy.Choice][]flow.Action{
			policy.ByDefault: {flow.Inspect, flow.Inspect, flow.Bypass}, policy.Inspect: {flow.Inspect, flow.Inspect, flow.Inspect}, policy.Block: {flow.Inspect, flow.Inspect, flow.Block},
		} {
			w := newWorld(t, options{rules: inspectAll(policy.Cases{Pinned: choice})})
			w.trusts(t)
			id := issue(t, w.public, newECDSA(t), forShop)
			address, _ := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{id.tls()}, MaxVersion: version})
			for i, action := range want {
				c, err := w.handshake(t, address, pinning(id.cert, &tls.Config{}))
				if (err == nil) != (action == flow.Bypass) {
					t.Fatalf("%s, connection %d: %v", choice, i+1, err)
				}
				if err == nil {
					echo(t, c, "with the key that I know")
				}
				c.Close()
				r := w.awaitTLS(t)
				reason := flow.ClientRefused
				if action != flow.Inspect {
					reason = flow.Pinned
				}
				if r.Policy.Action != action || r.Decryption != (flow.Decryption{State: flow.DecryptedNo, Reason: reason}) {
					t.Errorf("%s, connection %d: told %+v, %+v", choice, i+1, r.Policy, r.Decryption)
				}
			}
		}
	}
}

// TestPinsOfCurl has a curl that knows its server's key: it finishes the handshake, and ends the connection without a word. In HTTP/2 the server
// does not wait for one.
func TestPinsOfCurl(t *testing.T) {
	for _, settings := range []string{";", "http2;"} {
		t.Run(settings, func(t *testing.T) { pinsOfCurl(t, settings) })
	}
}

func pinsOfCurl(t *testing.T, settings string) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	w.trusts(t)
	id := issue(t, w.public, newECDSA(t), forShop)
	address := startNginx(t, id, settings)
	both := bundle(t, w.public, w.private)
	sum := sha256.Sum256(id.cert.RawSubjectPublicKeyInfo)
	known := "sha256//" + base64.StdEncoding.EncodeToString(sum[:])
	ask := func(more ...string) (string, int) {
		return run(t, "", "curl", append([]string{"-sS", "--cacert", both, "-x", "http://" + w.proxy, "https://localhost:" + port(address) + "/"}, more...)...)
	}
	for i := range 4 {
		out, status := ask("--pinnedpubkey", known)
		if w.awaitTLS(t); status != 90 {
			t.Fatalf("connection %d: curl: %s, status %d", i+1, out, status)
		}
	}
	out, status := ask("--pinnedpubkey", known)
	if out != "fine" || status != 0 {
		t.Fatalf("curl: %s, status %d; %+v", out, status, w.pins.List(time.Now()))
	}
	if r := w.awaitTLS(t); r.Decryption != isPinned || r.Policy.Action != flow.Bypass {
		t.Errorf("told %+v, %+v", r.Decryption, r.Policy)
	}
	list := w.pins.List(time.Now())
	if len(list) != 1 || list[0].Name != "localhost" || list[0].State != pin.Learnt || list[0].Reason != "closed" || list[0].Count != 4 {
		t.Errorf("listed %+v", list)
	}
	check(t, w.pins.Reject(list[0].ID))
	if out, _ := ask(); out != "fine" {
		t.Error(out)
	}
	if r := w.awaitTLS(t); r.Decryption.State != flow.DecryptedYes {
		t.Errorf("after it was rejected: told %+v", r.Decryption)
	}
}

// TestPinsOfOpenSSL has an s_client that trusts the public authority alone for one server, and a client that has the gateway's root.
func TestPinsOfOpenSSL(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	w.trusts(t)
	address := startNginx(t, issue(t, w.public, newECDSA(t), forShop), ";")
	public, _ := w.public.files(t, t.TempDir())
	for i, want := range []flow.Decryption{{State: flow.DecryptedNo, Reason: flow.ClientRefused}, {State: flow.DecryptedNo, Reason: flow.ClientRefused}, isPinned} {
		out, status := run(t, "GET / HTTP/1.0\r\n\r\n", "openssl", "s_client", "-proxy", w.proxy, "-connect", "localhost:"+port(address), "-servername", "localhost",
			"-CAfile", public, "-verify_return_error", "-verify_hostname", "localhost", "-ign_eof", "-quiet")
		if (status == 0 && strings.Contains(out, "fine")) != (want == isPinned) {
			t.Fatalf("connection %d: status %d, %s", i+1, status, out)
		}
		if r := w.awaitTLS(t); r.Decryption != want {
			t.Errorf("connection %d: told %+v, want %+v", i+1, r.Decryption, want)
		}
	}
}

// TestNoRoot has a client that refuses whatever it asks for. Nothing is bypassed; it is listed.
func TestNoRoot(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	names := func(c *x509.Certificate) { c.DNSNames = []string{"a.example", "b.example", "c.example"} }
	address, _ := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{issue(t, w.public, newECDSA(t), names).tls()}})
	for range 4 {
		for _, name := range []string{"a.example", "b.example", "c.example"} {
			if _, err := w.handshake(t, address, &tls.Config{RootCAs: w.public.pool(), ServerName: name}); err == nil {
				t.Fatalf("%s: it was let through", name)
			}
			if r := w.awaitTLS(t); r.Decryption.Reason != flow.ClientRefused {
				t.Errorf("told %+v", r.Decryption)
			}
		}
	}
	list := w.pins.Distrust(time.Now())
	if len(list) != 1 || list[0].Client.String() != "127.0.0.1" || list[0].Count != 12 || len(list[0].Names) != 3 {
		t.Errorf("clients without the root: %+v", list)
	}
	if pins := w.pins.List(time.Now()); len(pins) != 0 {
		t.Errorf("pins: %+v", pins)
	}
}

// TestNotLearnt has clients refuse for reasons that are no pins: the origin's certificate is bad, the hello was encrypted, or the proxy was asked
// for another name. What a rule blocks is blocked, whatever was learnt.
func TestNotLearnt(t *testing.T) {
	rules := inspectAll(policy.Cases{})
	w := newWorld(t, options{rules: rules})
	w.trusts(t)
	good, _ := w.shop(t, nil)
	stranger := newRoot(t, "Stranger", newECDSA(t))
	bad, _ := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{issue(t, stranger, newECDSA(t), forShop).tls()}})
	for range 5 {
		if _, err := w.handshake(t, bad, w.client()); err == nil {
			t.Fatal("a bad certificate was accepted")
		}
		w.awaitTLS(t)
		if _, err := w.handshake(t, good, &tls.Config{ServerName: "secret.example", RootCAs: w.private.pool(), EncryptedClientHelloConfigList: echConfigs(t, "shop.example")}); err == nil {
			t.Fatal("the hello inside was answered")
		}
		if r := w.awaitTLS(t); r.Decryption.Reason != flow.EncryptedHello {
			t.Errorf("told %+v", r.Decryption)
		}
		if _, err := w.handshake(t, "localhost:"+port(good), &tls.Config{RootCAs: w.public.pool(), ServerName: "shop.example"}); err == nil {
			t.Fatal("it has no root, but was let through")
		}
		w.awaitTLS(t)
	}
	if list := w.pins.List(time.Now()); len(list) != 0 {
		t.Errorf("learnt %+v", list)
	}
	for range 2 {
		w.pins.Refuse(netip.MustParseAddr("127.0.0.1"), pin.Server{Name: "shop.example"}, pin.Refused, time.Now())
	}
	rules.Block = []policy.Exception{{ID: "evil", Names: []string{"shop.example"}}}
	table, err := policy.Compile(rules)
	check(t, err)
	check(t, w.SetRules(table))
	if _, err := w.handshake(t, good, w.client()); err == nil {
		t.Error("a blocked server was bypassed")
	}
	r := w.await(t, "the blocked connection", func(r *event.Record) bool { return r.Kind == event.KindTLS })
	if r.Decryption.Reason != flow.BlockedByPolicy {
		t.Errorf("told %+v", r.Decryption)
	}
}
