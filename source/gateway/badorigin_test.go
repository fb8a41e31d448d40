package gateway_test

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ocsp"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/origin"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// badOrigin is an origin as badssl.com has some, and what its certificate is told to be.
type badOrigin struct {
	name  string
	fault flow.Fault
	chain []*identity // the leaf first
	// staple is the OCSP response that the origin brings.
	staple []byte
	// sees are the classes of errors that clients may find through the gateway besides the one that they find without.
	sees string
	// completed says that the gateway fetches what clients lack, so that they find nothing wrong any more.
	completed bool
}

// published is a web server with lists, responses and certificates that certificates point to.
type published struct {
	url   string
	mu    sync.Mutex
	pages map[string][]byte
}

func publish(t testing.TB) *published {
	t.Helper()
	p := &published{pages: map[string][]byte{}}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

// ServeHTTP answers with the page of the path.
func (p *published) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = w.Write(p.pages[r.URL.Path])
}

// put has a page answered, and returns its address.
func (p *published) put(path string, b []byte) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages[path] = b
	return []string{p.url + path}
}

// list makes a revocation list of the issuer's.
func list(t testing.TB, issuer *identity, revoked ...*identity) []byte {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, r := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: r.cert.SerialNumber, RevocationTime: time.Now().Add(-time.Hour)})
	}
	b, err := x509.CreateRevocationList(rand.Reader, l, issuer.cert, issuer.key)
	check(t, err)
	return b
}

// badOrigins makes the table. Each is for shop.example and localhost, unless that is what is wrong.
func badOrigins(t testing.TB, public *identity) []badOrigin {
	t.Helper()
	web := publish(t)
	ca := func(name string, parent *identity, change func(*x509.Certificate)) *identity {
		return issue(t, parent, newECDSA(t), func(c *x509.Certificate) {
			c.Subject, c.IsCA, c.KeyUsage, c.ExtKeyUsage = pkix.Name{CommonName: name}, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
			change(c)
		})
	}
	leaf := func(parent *identity, change func(*x509.Certificate)) *identity {
		return issue(t, parent, newECDSA(t), func(c *x509.Certificate) {
			forShop(c)
			change(c)
		})
	}
	same := func(*x509.Certificate) {}
	old := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	sub, stranger := ca("Sub", public, same), ca("Stranger", nil, same)
	oldSub, noCA := ca("Old Sub", public, old), leaf(public, func(c *x509.Certificate) { c.Subject.CommonName = "a server" })
	elsewhere := ca("Elsewhere", public, func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"elsewhere.example"}, true
	})
	flat := ca("Flat", public, func(c *x509.Certificate) { c.MaxPathLenZero = true })
	deep := ca("Deep", flat, same)
	must := func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}}}
	}
	forMail := ca("Mail", public, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} })
	short := newKey(t, 1024)
	weakSub := issue(t, public, short, func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.KeyUsage, c.ExtKeyUsage = pkix.Name{CommonName: "Weak Sub"}, true, x509.KeyUsageCertSign, nil
	})
	revoked, healthy := leaf(public, same), leaf(public, must)
	staple := func(of *identity, status int) []byte {
		r, err := ocsp.CreateResponse(public.cert, public.cert, ocsp.Response{
			Status: status, SerialNumber: of.cert.SerialNumber, ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour), RevokedAt: time.Now().Add(-time.Hour),
		}, public.key)
		check(t, err)
		return r
	}
	at := func(path string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.CRLDistributionPoints = web.put(path, nil) }
	}
	lister := ca("Lister", public, same)
	listed, unlisted := leaf(lister, at("/lister")), leaf(lister, at("/lister"))
	web.put("/lister", list(t, lister, listed))
	badSub := ca("Bad Sub", lister, at("/above"))
	web.put("/above", list(t, lister, badSub))
	answered := leaf(public, func(c *x509.Certificate) { c.OCSPServer = web.put("/answer", nil) })
	web.put("/answer", staple(answered, ocsp.Revoked))
	told := leaf(sub, func(c *x509.Certificate) { c.IssuingCertificateURL = web.put("/sub", sub.cert.Raw) })
	forged := leaf(public, must)
	byServer, err := ocsp.CreateResponse(public.cert, healthy.cert, ocsp.Response{
		Status: ocsp.Good, SerialNumber: forged.cert.SerialNumber, ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour), Certificate: healthy.cert,
	}, healthy.key)
	check(t, err)
	return []badOrigin{
		{name: "good", chain: []*identity{leaf(public, same)}},
		{name: "good, by a sub-CA", chain: []*identity{leaf(sub, same), sub}},
		{name: "good, chain in reverse", chain: []*identity{leaf(sub, same), public, sub}},
		{name: "good, with 1,000 names", chain: []*identity{leaf(public, func(c *x509.Certificate) {
			for i := range 1000 {
				c.DNSNames = append(c.DNSNames, fmt.Sprintf("n%d.shop.example", i))
			}
		})}},
		{name: "good, without a subject", chain: []*identity{leaf(public, func(c *x509.Certificate) { c.Subject = pkix.Name{} })}},
		{name: "good, RSA 4096", chain: []*identity{withKey(t, public, newKey(t, 4096))}},
		{name: "good, P-384", chain: []*identity{withKey(t, public, newCurve(t, elliptic.P384()))}},
		{name: "good, with the staple that it demands", chain: []*identity{healthy}, staple: staple(healthy, ocsp.Good)},
		{name: "good, by its issuer's list", chain: []*identity{unlisted, lister}},
		{name: "incomplete chain, the rest of which is published", chain: []*identity{told}, completed: true},
		{name: "expired", fault: flow.Expired, chain: []*identity{leaf(public, old)}},
		{name: "not valid yet", fault: flow.NotYetValid, chain: []*identity{leaf(public, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })}},
		{name: "wrong host", fault: flow.WrongName, chain: []*identity{leaf(public, func(c *x509.Certificate) { c.DNSNames = []string{"bank.example"} })}},
		{name: "no name but in the subject", fault: flow.WrongName, chain: []*identity{leaf(public, func(c *x509.Certificate) { c.DNSNames = nil })}},
		{name: "wildcard too high", fault: flow.WrongName, chain: []*identity{leaf(public, func(c *x509.Certificate) { c.DNSNames = []string{"*.shop.example"} })}},
		{name: "self-signed", fault: flow.SelfSigned, chain: []*identity{leaf(nil, same)}},
		{name: "self-signed and expired", fault: flow.SelfSigned, chain: []*identity{leaf(nil, old)}},
		{name: "untrusted root", fault: flow.Untrusted, chain: []*identity{leaf(stranger, same), stranger}, sees: "untrusted"},
		{name: "incomplete chain", fault: flow.Untrusted, chain: []*identity{leaf(sub, same)}},
		{name: "expired sub-CA", fault: flow.Untrusted, chain: []*identity{leaf(oldSub, same), oldSub}, sees: "untrusted"},
		{name: "issued by a server", fault: flow.Untrusted, chain: []*identity{leaf(noCA, same), noCA}, sees: "untrusted"},
		{name: "outside name constraints", fault: flow.Untrusted, chain: []*identity{leaf(elsewhere, same), elsewhere}, sees: "untrusted"},
		{name: "deeper than allowed", fault: flow.Untrusted, chain: []*identity{leaf(deep, same), deep, flat}, sees: "untrusted"},
		{name: "for clients", fault: flow.WrongUsage, chain: []*identity{leaf(public, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })}},
		{name: "by a sub-CA for mail", fault: flow.Untrusted, chain: []*identity{leaf(forMail, same), forMail}, sees: "untrusted"},
		{name: "its key for certificates alone", fault: flow.Untrusted, chain: []*identity{leaf(public, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })}, sees: "untrusted"},
		{name: "its key for revocation lists alone", fault: flow.Untrusted, chain: []*identity{leaf(public, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })}, sees: "untrusted"},
		{name: "RSA 1024", fault: flow.Untrusted, chain: []*identity{withKey(t, public, short)}, sees: "untrusted"},
		{name: "RSA 1024, a sub-CA's", fault: flow.Untrusted, chain: []*identity{leaf(weakSub, same), weakSub}, sees: "untrusted"},
		{name: "revoked, by its staple", fault: flow.Revoked, chain: []*identity{revoked}, staple: staple(revoked, ocsp.Revoked), sees: "untrusted"},
		{name: "revoked, by its issuer's list", fault: flow.Revoked, chain: []*identity{listed, lister}, sees: "untrusted"},
		{name: "revoked, by its issuer's responder", fault: flow.Revoked, chain: []*identity{answered}, sees: "untrusted"},
		{name: "revoked, a sub-CA", fault: flow.Revoked, chain: []*identity{leaf(badSub, same), badSub, lister}, sees: "untrusted"},
		{name: "with the staple that another server has signed", fault: flow.NoStaple, chain: []*identity{forged}, staple: byServer, sees: "untrusted"},
		{name: "without the staple that it demands", fault: flow.NoStaple, chain: []*identity{leaf(public, must)}, sees: "untrusted"},
	}
}

func newKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	check(t, err)
	return k
}

func newCurve(t testing.TB, c elliptic.Curve) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	check(t, err)
	return k
}

func withKey(t testing.TB, parent *identity, key crypto.Signer) *identity {
	t.Helper()
	return issue(t, parent, key, forShop)
}

// classes name the errors of clients. The first that fits counts.
var classes = []struct {
	class string
	words *regexp.Regexp
}{
	{"fine", regexp.MustCompile(`^fine$`)},
	{"revoked", regexp.MustCompile(`status: revoked|revocation`)},
	{"name", regexp.MustCompile(`(?i)no alternative certificate subject name|hostname mismatch|certificate is valid for|not valid for any names|doesn't contain any|not shop.example|does not match`)},
	{"self-signed", regexp.MustCompile(`(?i)self.signed certificate($|\W)`)},
	{"not valid yet", regexp.MustCompile(`is before|certificate is not yet valid`)},
	{"expired", regexp.MustCompile(`(?i)expired`)},
	{"usage", regexp.MustCompile(`(?i)unsupported certificate purpose|unsuitable certificate purpose|incompatible key usage`)},
	{"untrusted", regexp.MustCompile(`(?i)unable to get local issuer|unknown authority|unable to get issuer`)},
	{"short key", regexp.MustCompile(`(?i)key too weak|key too small`)},
	{"no staple", regexp.MustCompile(`(?i)no OCSP response`)},
	{"chain", regexp.MustCompile(`(?i)invalid CA|permitted subtree|path length|not authorized to sign|too many intermediates|name constraint`)},
}

func classOf(t testing.TB, text string) string {
	for _, c := range classes {
		if c.words.MatchString(text) {
			return c.class
		}
	}
	t.Errorf("an error of no known class: %s", text)
	return "?"
}

// TestBadOrigins compares what clients find with the gateway and without: the same class of error for the same fault, or, where
// the fault is in what the gateway cannot mimic, that nobody trusts the issuer. A bad origin never looks good.
func TestBadOrigins(t *testing.T) {
	public := newRoot(t, "Public CA", newECDSA(t))
	online := func(c *gateway.Config) {
		c.Judge = origin.NewOnline(public.pool(), origin.Online{Guard: c.Guard, Complete: true, Revocation: origin.Soft}, testkit.Logger(t))
	}
	w := newWorld(t, options{rules: inspectAll(policy.Cases{}), public: public, config: online})
	strict := newWorld(t, options{rules: inspectAll(policy.Cases{BadCertificate: policy.Block}), public: public, config: online})
	trusted, _ := public.files(t, t.TempDir())
	private, _ := w.private.files(t, t.TempDir())
	clients := []struct {
		name string
		ask  func(t testing.TB, address string, through bool) string
	}{
		{"curl", func(t testing.TB, address string, through bool) string {
			args := []string{"-sS", "--http1.1", "--max-time", "10", "--cacert", trusted, "https://localhost:" + port(address) + "/"}
			if through {
				args = append(args, "-x", "http://"+w.proxy, "--cacert", private)
			}
			out, _ := run(t, "", "curl", args...)
			return out
		}},
		{"Go", func(t testing.TB, address string, through bool) string {
			var c *tls.Conn
			var err error
			if through {
				c, err = w.handshake(t, address, w.client())
			} else {
				c, err = tls.Dial("tcp", address, &tls.Config{RootCAs: w.public.pool(), ServerName: "shop.example"})
			}
			if err != nil {
				return err.Error()
			}
			defer c.Close()
			if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil { // who says nothing has refused
				return err.Error()
			}
			if _, err := io.ReadAll(c); err != nil {
				return err.Error()
			}
			return "fine"
		}},
	}
	var table strings.Builder
	for _, o := range badOrigins(t, w.public) {
		fmt.Fprintf(&table, "| %s | %s |", o.name, cmp.Or(string(o.fault), "-"))
		cert := o.chain[0].tls(o.chain[1:]...)
		cert.OCSPStaple = o.staple
		address := serveFine(t, cert)
		for _, c := range clients {
			without, with := classOf(t, c.ask(t, address, false)), classOf(t, c.ask(t, address, true))
			fmt.Fprintf(&table, " %s | %s |", without, with)
			switch {
			case with == without && (o.fault == "") == (with == "fine"):
			case o.fault != "" && o.sees != "" && with == o.sees:
			case o.completed && without == "untrusted" && with == "fine":
			default:
				t.Errorf("%s: %s finds %q without the gateway and %q with it", o.name, c.name, without, with)
			}
			if r := w.awaitTLS(t); r.TLS.Fault != o.fault {
				t.Errorf("%s: told as %q, want %q", o.name, r.TLS.Fault, o.fault)
			}
		}
		if _, err := strict.handshake(t, address, &tls.Config{InsecureSkipVerify: true, ServerName: "shop.example"}); (err == nil) != (o.fault == "") {
			t.Errorf("%s: where the policy blocks bad certificates, %v", o.name, err)
		}
		table.WriteString("\n")
	}
	documented(t, table.String())
}

var update = flag.Bool("update-bad-origins", false, "rewrite the table in docs/bad-origins.md")

// documented checks that the documentation has the table.
func documented(t *testing.T, table string) {
	t.Helper()
	const file, head = "../../docs/bad-origins.md", "|---|---|---|---|---|---|\n"
	doc, err := os.ReadFile(file)
	check(t, err)
	before, got, _ := strings.Cut(string(doc), head)
	if *update {
		check(t, os.WriteFile(file, []byte(before+head+table), 0o644))
	} else if got != table {
		t.Errorf("docs/bad-origins.md has another table: run with -update-bad-origins\n%s", gocmp.Diff(got, table))
	}
}

// serveFine answers every request with "fine".
func serveFine(t testing.TB, cert tls.Certificate) (address string) {
	t.Helper()
	l := listen(t)
	serveHTTP(t, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}))
	return l.Addr().String()
}
