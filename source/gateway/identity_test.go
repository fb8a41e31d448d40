package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
	own "github.com/vitrine-ndr/vitrine/source/gateway/identity"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// forMembers names a client's certificate.
func forMembers(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject, c.ExtKeyUsage = pkix.Name{CommonName: name}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
}

// withIdentity gives the gateway a certificate of the members' authority for shop.example and localhost, that clients at 127.0.0.1 may use.
func withIdentity(t testing.TB, members *identity) func(*gateway.Config) {
	t.Helper()
	cert, key := issue(t, members, newECDSA(t), forMembers("the gateway")).files(t, t.TempDir())
	set, err := own.Open([]own.Config{{
		Grant:       policy.Grant{ID: "member", Names: []string{"shop.example", "localhost"}, Sources: []policy.Addresses{{Prefix: netip.MustParsePrefix("127.0.0.1/32")}}},
		Certificate: cert, Key: token.Place(key),
	}}, "", time.Now())
	check(t, err)
	return func(c *gateway.Config) { c.Identities = set }
}

// stranger connects through the gateway from an address that may not use the identity.
func (w *world) stranger(t testing.TB, address string, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	c, err := d.DialContext(t.Context(), "tcp", w.proxy)
	check(t, err)
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err = fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\n\r\n", address)
	check(t, err)
	answer := make([]byte, 1000)
	if n, err := c.Read(answer); err != nil || !strings.Contains(string(answer[:n]), " 200 ") {
		t.Fatalf("CONNECT: %q, %v", answer[:n], err)
	}
	s := tls.Client(c, cfg)
	return s, s.Handshake()
}

// TestIdentity has an origin insist on a client certificate that the gateway has. A client among its sources is served with it, in each
// connection; sessions that were begun with it are resumed for such clients alone. Others show their own certificate, unseen.
func TestIdentity(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			members := newRoot(t, "Members CA", newECDSA(t))
			w := newWorld(t, options{rules: inspectAll(policy.Cases{ClientCertificate: policy.Block}), config: withIdentity(t, members)})
			type visit struct {
				who     string
				resumed bool
			}
			visits := make(chan visit, 10)
			address, _ := w.shop(t, func(c *tls.Config) {
				c.ClientAuth, c.ClientCAs, c.MaxVersion = tls.RequireAndVerifyClientCert, members.pool(), version
				c.VerifyConnection = func(s tls.ConnectionState) error {
					visits <- visit{s.PeerCertificates[0].Subject.CommonName, s.DidResume}
					return nil
				}
			})
			for i := range 3 {
				c, err := w.handshake(t, address, w.client())
				check(t, err)
				echo(t, c, "hello")
				c.Close()
				r := w.awaitTLS(t)
				if r.Decryption != (flow.Decryption{State: flow.DecryptedYes, Source: flow.FromInspection}) || r.Policy.Identity != "member" || r.Policy.Action != flow.Inspect {
					t.Errorf("told %+v, %+v", r.Decryption, r.Policy)
				}
				if got, want := <-visits, (visit{"the gateway", i > 0}); got != want {
					t.Errorf("connection %d: the origin sees %+v, want %+v", i, got, want)
				}
			}
			_, err := w.stranger(t, address, w.client())
			if r := w.awaitTLS(t); err == nil || r.Decryption.Reason != flow.ClientCertificate || r.Policy.Action != flow.Block || r.Policy.Identity != "" {
				t.Errorf("the stranger finds %v, told %+v, %+v", err, r.Decryption, r.Policy)
			}
			if len(visits) > 0 {
				t.Errorf("the origin has let the stranger in as %+v", <-visits)
			}
		})
	}
}

// TestIdentityOfStrangers has a client that may not use the identity show a certificate of its own.
func TestIdentityOfStrangers(t *testing.T) {
	members := newRoot(t, "Members CA", newECDSA(t))
	w := newWorld(t, options{rules: inspectAll(policy.Cases{}), config: withIdentity(t, members)})
	address, _ := w.shop(t, func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, members.pool() })
	for range 2 {
		cfg := &tls.Config{RootCAs: w.public.pool(), ServerName: "shop.example", Certificates: []tls.Certificate{issue(t, members, newECDSA(t), forMembers("a member")).tls()}}
		c, err := w.stranger(t, address, cfg)
		check(t, err)
		echo(t, c, "as myself")
		c.Close()
		if r := w.awaitTLS(t); r.Policy.Action != flow.Bypass || r.Decryption.Reason != flow.ClientCertificate || r.Policy.Identity != "" {
			t.Errorf("told %+v, %+v", r.Decryption, r.Policy)
		}
		c, err = w.handshake(t, address, w.client()) // that the origin has asked a stranger is no matter
		check(t, err)
		echo(t, c, "as the gateway")
		c.Close()
		if r := w.awaitTLS(t); r.Policy.Action != flow.Inspect || r.Policy.Identity != "member" {
			t.Errorf("told %+v, %+v", r.Decryption, r.Policy)
		}
	}
}

// TestNoIdentityForImpostors has origins with bad certificates ask for one. They never see that of the gateway; the client finds out what
// they are by itself.
func TestNoIdentityForImpostors(t *testing.T) {
	members, stranger := newRoot(t, "Members CA", newECDSA(t)), newRoot(t, "Public CA", newECDSA(t))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, id := range map[flow.Fault]func(*world) *identity{
			flow.WrongName: func(w *world) *identity {
				return issue(t, w.public, newRSA(t), func(c *x509.Certificate) { c.DNSNames = []string{"evil.example"} })
			},
			flow.Expired: func(w *world) *identity {
				return issue(t, w.public, newECDSA(t), func(c *x509.Certificate) { forShop(c); c.NotAfter = time.Now().Add(-time.Minute) })
			},
			flow.Untrusted:  func(*world) *identity { return issue(t, stranger, newECDSA(t), forShop) },
			flow.SelfSigned: func(*world) *identity { return issue(t, nil, newECDSA(t), forShop) },
		} {
			w := newWorld(t, options{rules: inspectAll(policy.Cases{}), config: withIdentity(t, members)})
			shown := make(chan string, 10)
			address, _ := serveTLS(t, &tls.Config{
				Certificates: []tls.Certificate{id(w).tls()}, MaxVersion: version, ClientAuth: tls.RequestClientCert,
				VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
					if len(raw) > 0 {
						shown <- fmt.Sprintf("%d certificates", len(raw))
					}
					return nil
				},
			})
			c, err := w.handshake(t, address, &tls.Config{RootCAs: w.public.pool(), ServerName: "shop.example"})
			if err == nil {
				t.Errorf("%s: the client accepts it", name)
			}
			c.Close()
			if r := w.awaitTLS(t); r.Policy.Action != flow.Bypass || r.Decryption.Reason != flow.ClientCertificate || r.TLS.Fault != name || r.Policy.Identity != "" {
				t.Errorf("%s: told %+v, %+v, %q", name, r.Decryption, r.Policy, r.TLS.Fault)
			}
			if len(shown) > 0 {
				t.Errorf("%s, %s: the impostor has seen %s", name, tls.VersionName(version), <-shown)
			}
		}
	}
}

// TestRefusedIdentity has an origin want a certificate of another authority.
func TestRefusedIdentity(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		w := newWorld(t, options{rules: inspectAll(policy.Cases{}), config: withIdentity(t, newRoot(t, "Members CA", newECDSA(t)))})
		address, _ := w.shop(t, func(c *tls.Config) {
			c.ClientAuth, c.ClientCAs, c.MaxVersion = tls.RequireAndVerifyClientCert, newRoot(t, "Others CA", newECDSA(t)).pool(), version
		})
		c, err := w.handshake(t, address, w.client())
		if err == nil {
			_, err = c.Read(make([]byte, 1))
		}
		if err == nil {
			t.Errorf("%x: the client got through", version)
		}
		if r := w.awaitTLS(t); r.Decryption != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.OriginFailed}) || r.Policy.Identity != "member" {
			t.Errorf("%x: told %+v, %+v", version, r.Decryption, r.Policy)
		}
	}
}

// TestIdentityAtServers has curl get through to nginx and Apache, which insist on a certificate: with the gateway's for who may use it, and
// with its own for others.
func TestIdentityAtServers(t *testing.T) {
	for _, version := range []string{"TLSv1.2", "TLSv1.3"} {
		for _, server := range []string{"nginx", "Apache"} {
			t.Run(server+" "+version, func(t *testing.T) {
				members := newRoot(t, "Members CA", newECDSA(t))
				w := newWorld(t, options{rules: inspectAll(policy.Cases{}), config: withIdentity(t, members)})
				id, address := issue(t, w.public, newECDSA(t), forShop), ""
				if server == "nginx" {
					ca, _ := members.files(t, t.TempDir())
					address = startNginx(t, id, fmt.Sprintf("http2; ssl_protocols %s; ssl_verify_client on; ssl_client_certificate %s; add_header Who $ssl_client_s_dn;", version, ca))
				} else {
					address = startApache(t, id, members, "+"+version, "SSLVerifyClient require\n")
				}
				cert, key := issue(t, members, newECDSA(t), forMembers("a member")).files(t, t.TempDir())
				ca := bundle(t, w.public, w.private)
				ask := func(more ...string) string {
					out, _ := run(t, "", "curl", append([]string{"-s", "-i", "--cacert", ca, "-x", "http://" + w.proxy, "https://localhost:" + port(address) + "/"}, more...)...)
					return out
				}
				for range 2 {
					if got := ask(); !strings.Contains(got, "fine") || server == "nginx" && !strings.Contains(got, "CN=the gateway") {
						t.Errorf("curl gets %s", got)
					}
					r := w.await(t, "the request", func(r *event.Record) bool { return r.Kind == event.KindHTTP && r.HTTP.Status == 200 })
					if r.Policy.Identity != "member" || r.Decryption.State != flow.DecryptedYes {
						t.Errorf("told %+v, %+v", r.Policy, r.Decryption)
					}
				}
				if got := ask("--interface", "127.0.0.2", "--cert", cert, "--key", key); !strings.Contains(got, "fine") || server == "nginx" && !strings.Contains(got, "CN=a member") {
					t.Errorf("the stranger gets %s", got)
				}
				w.await(t, "the bypass", func(r *event.Record) bool {
					return r.Kind == event.KindTLS && r.Policy.Action == flow.Bypass && r.Decryption.Reason == flow.ClientCertificate && r.Policy.Identity == ""
				})
				if got := ask("--interface", "127.0.0.2"); strings.Contains(got, "fine") {
					t.Errorf("a stranger without a certificate gets %s", got)
				}
			})
		}
	}
}

// TestIdentityThatIsAskedForLate has Apache ask for a certificate once it has read the request, which the gateway cannot answer: it must not try
// so again and again, but let curl answer.
func TestIdentityThatIsAskedForLate(t *testing.T) {
	members := newRoot(t, "Members CA", newECDSA(t))
	w := newWorld(t, options{rules: inspectAll(policy.Cases{}), config: withIdentity(t, members)})
	address := startApache(t, issue(t, w.public, newECDSA(t), forShop), members, "+TLSv1.2", "")
	cert, key := issue(t, members, newECDSA(t), forMembers("a member")).files(t, t.TempDir())
	for i, want := range []flow.Action{flow.Inspect, flow.Bypass} {
		got, _ := run(t, "", "curl", "-s", "--http1.1", "--cacert", bundle(t, w.public, w.private), "--cert", cert, "--key", key, "-x", "http://"+w.proxy, "https://localhost:"+port(address)+"/private/")
		if (got == "fine") != (want == flow.Bypass) {
			t.Errorf("attempt %d: curl gets %q", i+1, got)
		}
		if r := w.awaitTLS(t); r.Policy.Action != want || r.Decryption.Reason != flow.ClientCertificate || r.Policy.Identity != "" {
			t.Errorf("attempt %d: told %+v, %+v", i+1, r.Decryption, r.Policy)
		}
	}
}
