package gateway_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"syscall"
	"testing"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// warning is a TLS alert that clients ignore: user_canceled.
const warning = "\x15\x03\x01\x00\x02\x01\x5a"

// heard keeps what is read from a connection.
type heard struct {
	net.Conn
	all bytes.Buffer
}

func (h *heard) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.all.Write(b[:n])
	return n, err
}

// TestWarningIsNoGreeting has an origin that sends a warning as soon as it is connected to, then speaks TLS: it is TLS all the same.
func TestWarningIsNoGreeting(t *testing.T) {
	rules := inspectAll(policy.Cases{})
	rules.Block = []policy.Exception{{ID: "evil", Names: []string{"evil.example"}}}
	w := newWorld(t, options{rules: rules})
	id := issue(t, w.public, newECDSA(t), forShop).tls()
	origin := func(auth tls.ClientAuthType) string {
		l := listen(t)
		serve(t, l, func(c net.Conn) {
			_, _ = io.WriteString(c, warning)
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{id}, ClientAuth: auth})
			_, _ = io.Copy(s, s)
		})
		return l.Addr().String()
	}
	plain, asking := origin(tls.NoClientCert), origin(tls.RequestClientCert)
	for _, tt := range []struct {
		address, name string
		issuer        string // empty: no connection
		warnings      int    // that reach the client
		why           flow.Decryption
	}{
		{plain, "shop.example", "CN=Private CA", 0, flow.Decryption{State: flow.DecryptedYes, Source: flow.FromInspection}},
		{plain, "evil.example", "", 0, flow.Decryption{State: flow.DecryptedNo, Reason: flow.BlockedByPolicy}},
		{asking, "shop.example", "CN=Public CA", 1, flow.Decryption{State: flow.DecryptedNo, Reason: flow.ClientCertificate}},
		{asking, "shop.example", "CN=Public CA", 1, flow.Decryption{State: flow.DecryptedNo, Reason: flow.ClientCertificate}},
	} {
		h := &heard{Conn: w.connect(t, tt.address)}
		c := tls.Client(h, &tls.Config{InsecureSkipVerify: true, ServerName: tt.name})
		err := c.Handshake()
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
		if n := bytes.Count(h.all.Bytes(), []byte(warning)); n != tt.warnings {
			t.Errorf("%s: %d warnings, want %d", tt.name, n, tt.warnings)
		}
		if r := w.awaitTLS(t); r.Decryption != tt.why || r.TLS.SNI != tt.name {
			t.Errorf("%s: told %+v, %+v", tt.name, r.Decryption, r.TLS)
		}
	}
}

// warned begins what is written with a warning.
type warned struct {
	net.Conn
	done bool
}

func (w *warned) Write(b []byte) (int, error) {
	if w.done {
		return w.Conn.Write(b)
	}
	w.done = true
	_, err := w.Conn.Write(append([]byte(warning), b...))
	return len(b), err
}

// TestUnreadableHello has clients that ask for a blocked name in a way that the gateway does not read, in and outside of scopes. A
// server might, so none gets there.
func TestUnreadableHello(t *testing.T) {
	for _, rules := range []policy.Rules{inspectAll(policy.Cases{}), {}} {
		rules.Block = []policy.Exception{{ID: "evil", Names: []string{"shop.example"}}}
		w := newWorld(t, options{rules: rules})
		l := listen(t)
		reached := make(chan int, 10)
		serve(t, l, func(c net.Conn) {
			n, _ := c.Read(make([]byte, 1))
			reached <- n
		})
		cfg := w.client()
		for i := range 1300 {
			cfg.NextProtos = append(cfg.NextProtos, fmt.Sprintf("protocol%05d", i))
		}
		for name, write := range map[string]func(net.Conn) error{
			"long, in records of one byte": func(c net.Conn) error { return tls.Client(&splitting{c, 1}, cfg).Handshake() },
			"behind a warning":             func(c net.Conn) error { return tls.Client(&warned{Conn: c}, w.client()).Handshake() },
			"no hello": func(c net.Conn) error {
				_, _ = io.WriteString(c, "\x16\x03\x01\x00\x04\x02\x00\x00\x00")
				_, err := c.Read(make([]byte, 1))
				return err
			},
		} {
			if err := write(w.connect(t, l.Addr().String())); err == nil {
				t.Errorf("%s: it was let through", name)
			}
			if n := <-reached; n != 0 {
				t.Errorf("%s: the origin was sent something", name)
			}
			if r := w.awaitTLS(t); r.Policy.Action != flow.Block || r.Decryption != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.Malformed}) {
				t.Errorf("%s: told %+v, %+v", name, r.Policy, r.Decryption)
			}
		}
	}
}

// TestOtherNameIsNoBypass asks the proxy for one name and the server for another. Only if the rules bypass both, nobody looks.
func TestOtherNameIsNoBypass(t *testing.T) {
	for _, tt := range []struct {
		host     string
		bypassed []string
		want     flow.Action
	}{
		{"localhost", []string{"shop.example"}, flow.Inspect},
		{"localhost", []string{"localhost"}, flow.Inspect},
		{"localhost", []string{"localhost", "shop.example"}, flow.Bypass},
		{"127.0.0.1", []string{"shop.example"}, flow.Bypass}, // an address speaks for no name
	} {
		rules := inspectAll(policy.Cases{})
		rules.Bypass = []policy.Exception{{ID: "banks", Names: tt.bypassed}}
		w := newWorld(t, options{rules: rules})
		address, _ := w.shop(t, nil)
		c, err := w.handshake(t, net.JoinHostPort(tt.host, port(address)), &tls.Config{InsecureSkipVerify: true, ServerName: "shop.example"})
		check(t, err)
		c.Close()
		if r := w.awaitTLS(t); r.Policy.Action != tt.want || (r.Policy.Rule == "banks") != (tt.want == flow.Bypass) {
			t.Errorf("%s, of which %q are bypassed: told %+v", tt.host, tt.bypassed, r.Policy)
		}
	}
}

// TestEndOfPolicyEndsWhatItInspects takes a policy away while connections of TLS and of another protocol are inspected under it.
func TestEndOfPolicyEndsWhatItInspects(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	address, _ := w.shop(t, nil)
	shop, err := w.handshake(t, address, w.client())
	check(t, err)
	l := listen(t)
	serve(t, l, func(c net.Conn) { _, _ = io.Copy(c, c) })
	open := map[string]net.Conn{"TLS": shop, "not TLS": w.connect(t, l.Addr().String())}
	for _, rules := range []policy.Rules{inspectAll(policy.Cases{}), {}} {
		for _, c := range open {
			echo(t, c, "NOOP\r\n")
		}
		table, err := policy.Compile(rules)
		check(t, err)
		check(t, w.SetRules(table))
	}
	for name, c := range open {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: the client finds %v", name, err)
		}
	}
}

// TestClientWithNothingToSay ends its direction before its first byte, and still hears what the server says: that is no TLS. Ending it
// in the midst of a hello is no way around inspection.
func TestClientWithNothingToSay(t *testing.T) {
	for _, choice := range []policy.Choice{policy.Inspect, policy.Bypass, policy.Block} {
		w := newWorld(t, options{rules: inspectAll(policy.Cases{NotTLS: choice})})
		l := listen(t)
		serve(t, l, func(c net.Conn) {
			b, _ := io.ReadAll(c)
			_, _ = fmt.Fprintf(c, "%d bytes", len(b))
		})
		for said, want := range map[string]string{"": "0 bytes", "\x16\x03": ""} {
			c := w.connect(t, l.Addr().String()).(*net.TCPConn)
			_, err := io.WriteString(c, said)
			check(t, err)
			check(t, c.CloseWrite())
			if choice == policy.Block {
				want = ""
			}
			if b, err := io.ReadAll(c); string(b) != want || (err == nil) != (want != "") {
				t.Errorf("%s, %q: the client hears %q, %v; want %q", choice, said, b, err, want)
			}
		}
	}
}

// TestBlockedNameIsNotAskedFor asks both proxies for a blocked name, which they refuse without finding out that there is no such host.
func TestBlockedNameIsNotAskedFor(t *testing.T) {
	w := newWorld(t, options{rules: policy.Rules{Block: []policy.Exception{{ID: "evil", Names: []string{"*.evil.invalid"}}}}})
	for host, want := range map[string]int{"www.evil.invalid": http.StatusForbidden, "WWW.Evil.Invalid.": http.StatusForbidden, "good.invalid": http.StatusBadGateway} {
		if _, status := w.ask(t, "CONNECT "+host+":443 HTTP/1.1\r\nHost: x\r\n\r\n"); status != want {
			t.Errorf("%s: %d, want %d", host, status, want)
		}
	}
	c, err := net.Dial("tcp", w.socks)
	check(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "\x05\x01\x00\x05\x01\x00\x03\x10www.evil.invalid\x01\xbb")
	check(t, err)
	if b, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(b, []byte("\x05\x00\x05\x02")) { // not allowed by ruleset
		t.Errorf("SOCKS answers %x, %v", b, err)
	}
	if s := w.Stats(); s.Blocked != 3 || s.Unreachable != 1 {
		t.Errorf("counted %+v", s)
	}
	told := map[string]string{}
	for range 4 {
		r := w.await(t, "a refusal", func(r *event.Record) bool { return r.Kind == event.KindConn })
		if told[r.Conn.Asked] = string(r.Reason); r.Policy != nil {
			told[r.Conn.Asked] += " " + r.Policy.Rule
		}
		if r.Server != (flow.Endpoint{Port: 443}) {
			t.Errorf("told of %s at %v", r.Conn.Asked, r.Server)
		}
	}
	if want := map[string]string{"www.evil.invalid": "blocked_by_policy evil", "WWW.Evil.Invalid.": "blocked_by_policy evil", "good.invalid": "unreachable"}; !maps.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// TestOtherNameCannotHideABlockedOne asks the proxy for a name that is blocked from then on, and the server for another.
func TestOtherNameCannotHideABlockedOne(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	address, _ := w.shop(t, nil)
	c := w.connect(t, "localhost:"+port(address))
	rules := inspectAll(policy.Cases{})
	rules.Block = []policy.Exception{{ID: "evil", Names: []string{"localhost"}}}
	table, err := policy.Compile(rules)
	check(t, err)
	check(t, w.SetRules(table))
	if err := tls.Client(c, w.client()).Handshake(); err == nil {
		t.Error("it was let through")
	}
	if r := w.awaitTLS(t); r.Policy.Rule != "evil" || r.Policy.Action != flow.Block {
		t.Errorf("told %+v", r.Policy)
	}
}
