package gateway_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"net/netip"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway/pin"
)

// Rules about the server that tests ask, and about another one.
const (
	rulesHere  = "rules: [{id: private, action: block, urls: [\"localhost/private/*\", \"shop.example/private/*\"]}]"
	rulesThere = "rules: [{id: private, action: block, urls: [\"elsewhere.example/private/*\"]}]"
)

// TestNoPinAroundRules has a curl that knows its server's key, where rules block a part of the server: however often it leaves, it is not
// let past them, until a person has approved that. Where they are about another server, it soon is.
func TestNoPinAroundRules(t *testing.T) {
	for name, rules := range map[string]string{"here": rulesHere, "there": rulesThere} {
		w := judging(t, rules)
		w.pins.Accept(netip.MustParseAddr("127.0.0.1"), pin.Server{Name: "other.example"}, time.Now()) // it has the root
		id := issue(t, w.public, newECDSA(t), forShop)
		address := startNginx(t, id, ";")
		both := bundle(t, w.public, w.private)
		sum := sha256.Sum256(id.cert.RawSubjectPublicKeyInfo)
		ask := func() (string, flow.Action) {
			out, _ := run(t, "", "curl", "-sS", "--cacert", both, "-x", "http://"+w.proxy, "--pinnedpubkey", "sha256//"+base64.StdEncoding.EncodeToString(sum[:]), "https://localhost:"+port(address)+"/private/a")
			return out, w.awaitTLS(t).Policy.Action
		}
		through := 0
		for range 8 {
			if out, action := ask(); out == "fine" && action == flow.Bypass {
				through++
			}
		}
		list := w.pins.List(time.Now())
		if len(list) != 1 || list[0].State != pin.Learnt || (through > 0) != (name == "there") {
			t.Errorf("rules %s: it got through %d times; %+v", name, through, list)
		}
		check(t, w.pins.Approve(list[0].ID))
		if out, action := ask(); out != "fine" || action != flow.Bypass {
			t.Errorf("rules %s, once a person has approved: %s, %s", name, out, action)
		}
	}
}

// TestNoClientCertificateAroundRules has origins ask for client certificates where rules block a part of them. Who may do without is
// inspected; who may not fails, each time.
func TestNoClientCertificateAroundRules(t *testing.T) {
	w := judging(t, rulesHere)
	u := &uploads{address: startNginx(t, issue(t, w.public, newECDSA(t), forShop), "http2; ssl_verify_client optional_no_ca;")}
	ca, _ := w.private.files(t, t.TempDir())
	for range 2 {
		for path, want := range map[string]string{"/a": " [200 2]", "/private/a": " [403 2]"} {
			if out, _ := w.curl(t, u, ca, "", "-o", "/dev/null", "ORIGIN"+path); out != want {
				t.Errorf("%s: curl sees %q, want %q", path, out, want)
			}
			w.await(t, path, func(r *event.Record) bool { return r.Kind == event.KindHTTP && r.HTTP.URL == path })
		}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for rules, action := range map[string]flow.Action{rulesHere: flow.Block, rulesThere: flow.Bypass} {
			w := judging(t, rules)
			address, _ := w.shop(t, func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, version })
			cfg := w.client()
			cfg.RootCAs = w.private.pool()
			cfg.RootCAs.AddCert(w.public.cert)
			cfg.Certificates = []tls.Certificate{issue(t, w.public, newECDSA(t), forShop).tls()}
			for i := range 2 {
				c, err := w.handshake(t, address, cfg)
				if err == nil {
					_, _ = c.Write([]byte("hello"))
					_, err = c.Read(make([]byte, 10))
				}
				c.Close()
				if (err == nil) != (action == flow.Bypass) {
					t.Errorf("%x, connection %d, want %s: %v", version, i, action, err)
				}
				r := w.awaitTLS(t)
				if got := r.Policy.Action; r.Decryption != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.ClientCertificate}) || got != action && (got == flow.Bypass || version == tls.VersionTLS12) {
					t.Errorf("%x, connection %d: told %+v, %+v", version, i, r.Decryption, r.Policy)
				}
			}
		}
	}
}
