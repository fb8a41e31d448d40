package gateway_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/ech"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

func newECHKey(t testing.TB, name string) *ech.Key {
	t.Helper()
	k, err := ech.NewKey(name)
	check(t, err)
	return k
}

// withECH gives the gateway keys for encrypted hellos.
func withECH(t testing.TB, list ...*ech.Key) func(*gateway.Config) {
	t.Helper()
	keys, err := ech.NewKeys(list)
	check(t, err)
	return func(c *gateway.Config) { c.ECH = keys }
}

// rejected is what a client is told that should come again: the keys to use then.
func rejected(t testing.TB, err error) []byte {
	t.Helper()
	r, ok := errors.AsType[*tls.ECHRejectionError](err)
	if !ok {
		t.Fatalf("the client finds %v", err)
	}
	return r.RetryConfigList
}

// TestOwnECH has clients encrypt their hellos to the gateway, by its current key and one before: rules go by the name inside. Where the
// connection is to be handed on, the client comes again in the open.
func TestOwnECH(t *testing.T) {
	current, former := newECHKey(t, "gateway.example"), newECHKey(t, "gateway.example")
	rules := inspectAll(policy.Cases{})
	rules.Bypass = []policy.Exception{{ID: "banks", Names: []string{"*.bank.example"}}}
	rules.Block = []policy.Exception{{ID: "evil", Names: []string{"evil.example"}}}
	w := newWorld(t, options{rules: rules, config: withECH(t, current, former)})
	address, _ := w.shop(t, func(c *tls.Config) {
		c.NextProtos, c.Certificates = []string{"two"}, []tls.Certificate{issue(t, w.public, newRSA(t), func(c *x509.Certificate) {
			forShop(c)
			c.DNSNames = append(c.DNSNames, "my.bank.example")
		}).tls()}
	})
	hidden := func(k *ech.Key, name string) *tls.Config {
		c := w.client()
		c.ServerName, c.NextProtos, c.EncryptedClientHelloConfigList = name, []string{"one", "two"}, k.List()
		return c
	}
	for _, k := range []*ech.Key{current, former} {
		c := tls.Client(&splitting{w.connect(t, address), 11}, hidden(k, "shop.example"))
		check(t, c.Handshake())
		echo(t, c, "hello")
		if s := c.ConnectionState(); !s.ECHAccepted || s.NegotiatedProtocol != "two" || s.PeerCertificates[0].Issuer.CommonName != "Private CA" {
			t.Errorf("the client finds %+v", s)
		}
		c.Close()
		if r := w.awaitTLS(t); r.Decryption.State != flow.DecryptedYes || r.TLS.SNI != "shop.example" || r.TLS.OuterSNI != "gateway.example" || len(r.TLS.ClientALPNs) != 2 || r.TLS.JA4 == "" {
			t.Errorf("told %+v, %+v", r.Decryption, r.TLS)
		}
	}

	_, err := w.handshake(t, address, hidden(current, "evil.example"))
	if r := w.awaitTLS(t); err == nil || r.Policy.Rule != "evil" || r.Policy.Action != flow.Block {
		t.Errorf("the client finds %v, told %+v", err, r.Policy)
	}

	bank := hidden(current, "my.bank.example")
	_, err = w.handshake(t, address, bank)
	if retry := rejected(t, err); len(retry) > 0 {
		t.Errorf("the client is told to encrypt again")
	}
	if r := w.awaitTLS(t); r.Policy.Rule != "banks" || r.Decryption != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.EncryptedHello}) || r.TLS.SNI != "my.bank.example" {
		t.Errorf("told %+v, %+v, %+v", r.Policy, r.Decryption, r.TLS)
	}
	bank.EncryptedClientHelloConfigList, bank.RootCAs = nil, w.public.pool()
	c, err := w.handshake(t, address, bank)
	check(t, err)
	echo(t, c, "my account")
	c.Close()
	if r := w.awaitTLS(t); r.Policy.Rule != "banks" || r.Decryption.Reason != flow.BypassedByPolicy {
		t.Errorf("told %+v, %+v", r.Policy, r.Decryption)
	}
}

// TestECHOfOthers has a client use a key that is not the gateway's: that of a site, or one that the gateway has no more. It learns the
// gateway's own, and gets through with that.
func TestECHOfOthers(t *testing.T) {
	current := newECHKey(t, "gateway.example")
	w := newWorld(t, options{rules: inspectAll(policy.Cases{}), config: withECH(t, current)})
	address, _ := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{issue(t, w.public, newECDSA(t), func(c *x509.Certificate) {
		forShop(c)
		c.DNSNames = append(c.DNSNames, "public.example")
	}).tls()}})
	for outer, key := range map[string]*ech.Key{"public.example": nil, "gateway.example": newECHKey(t, "gateway.example")} {
		cfg := w.client()
		if cfg.EncryptedClientHelloConfigList = echConfigs(t, outer); key != nil {
			cfg.EncryptedClientHelloConfigList = key.List()
		}
		_, err := w.handshake(t, address, cfg)
		if cfg.EncryptedClientHelloConfigList = rejected(t, err); !bytes.Equal(cfg.EncryptedClientHelloConfigList, current.List()) {
			t.Fatalf("%s: the client learns %x", outer, cfg.EncryptedClientHelloConfigList)
		}
		if r := w.awaitTLS(t); r.Decryption != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.EncryptedHello}) || r.TLS.SNI != outer || r.TLS.OuterSNI != "" {
			t.Errorf("%s: told %+v, %+v", outer, r.Decryption, r.TLS)
		}
		c, err := w.handshake(t, address, cfg)
		check(t, err)
		echo(t, c, "hello")
		if !c.ConnectionState().ECHAccepted {
			t.Errorf("%s: not accepted", outer)
		}
		c.Close()
		if r := w.awaitTLS(t); r.Decryption.State != flow.DecryptedYes || r.TLS.SNI != "shop.example" {
			t.Errorf("%s: told %+v, %+v", outer, r.Decryption, r.TLS)
		}
	}
}

// TestOwnECHWithoutWayOn has origins that cannot be inspected: one that asks for a client certificate, and one of TLS 1.2, which no encrypted hello
// may end in. The client comes again in the open.
func TestOwnECHWithoutWayOn(t *testing.T) {
	current := newECHKey(t, "gateway.example")
	w := newWorld(t, options{rules: inspectAll(policy.Cases{}), config: withECH(t, current)})
	asking, _ := w.shop(t, func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert })
	old, _ := w.shop(t, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	for address, action := range map[string]flow.Action{asking: flow.Bypass, old: flow.Inspect} {
		cfg := w.client()
		cfg.RootCAs.AddCert(w.public.cert)
		cfg.EncryptedClientHelloConfigList, cfg.Certificates = current.List(), []tls.Certificate{issue(t, nil, newECDSA(t), forMembers("a member")).tls()}
		_, err := w.handshake(t, address, cfg)
		if retry := rejected(t, err); len(retry) > 0 {
			t.Error("the client is told to encrypt again")
		}
		w.awaitTLS(t)
		cfg.EncryptedClientHelloConfigList = nil
		c, err := w.handshake(t, address, cfg)
		check(t, err)
		echo(t, c, "hello")
		c.Close()
		if r := w.awaitTLS(t); r.Policy.Action != action {
			t.Errorf("told %+v, %+v", r.Policy, r.Decryption)
		}
	}
}
