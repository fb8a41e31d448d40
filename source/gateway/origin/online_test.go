package origin_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway/origin"
)

// places is a web server with what certificates point to.
type places struct {
	*httptest.Server
	mu    sync.Mutex
	pages map[string]func(http.ResponseWriter, *http.Request)
	asked atomic.Int32
}

func newPlaces(t testing.TB) *places {
	t.Helper()
	p := &places{pages: map[string]func(http.ResponseWriter, *http.Request){}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		p.mu.Lock()
		page := p.pages[r.URL.Path]
		p.mu.Unlock()
		if page == nil {
			http.NotFound(w, r)
			return
		}
		page(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

// put has the server answer every request for the path with the bytes, and returns the address.
func (p *places) put(path string, b []byte) string {
	return p.handle(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) })
}

func (p *places) handle(path string, page func(http.ResponseWriter, *http.Request)) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages[path] = page
	return p.URL + path
}

// forLists lets an authority sign lists too.
func forLists(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign }

// numbered gives a certificate a number of its own, and what else is to change.
func numbered(n int64, more ...func(*x509.Certificate)) func(*x509.Certificate) {
	return server(append(more, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(n) })...)
}

func listed(at ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.CRLDistributionPoints = at }
}

func answered(at ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.OCSPServer = at }
}

func above(at ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.IssuingCertificateURL = at }
}

// crl makes a list of the issuer's with the numbers.
func crl(t testing.TB, issuer *identity, change func(*x509.RevocationList), numbers ...int64) []byte {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
	for _, n := range numbers {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(n), RevocationTime: now.Add(-time.Hour)})
	}
	if change != nil {
		change(l)
	}
	b, err := x509.CreateRevocationList(rand.Reader, l, issuer.cert, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// response makes an OCSP response about the certificate of the number, signed by another one, if that is not nil.
func response(t testing.TB, issuer, by *identity, number int64, status int) []byte {
	t.Helper()
	r := ocsp.Response{Status: status, SerialNumber: big.NewInt(number), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour), RevokedAt: now.Add(-time.Hour)}
	responder := issuer
	if by != nil {
		r.Certificate, responder = by.cert, by
	}
	b, err := ocsp.CreateResponse(issuer.cert, responder.cert, r, responder.key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// point is the extension by which a list says which it is.
func point(t testing.TB, critical bool, id asn1.ObjectIdentifier, value any) func(*x509.RevocationList) {
	t.Helper()
	b, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return func(l *x509.RevocationList) {
		l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{Id: id, Critical: critical, Value: b})
	}
}

type onlyCAs struct {
	OnlyCAs bool `asn1:"optional,tag:2"`
}

type indirect struct {
	Indirect bool `asn1:"optional,tag:4"`
}

type atPlace struct {
	Point struct {
		Full []asn1.RawValue `asn1:"optional,tag:0"`
	} `asn1:"optional,tag:0"`
}

func at(place string) (p atPlace) {
	p.Point.Full = []asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(place)}}
	return p
}

var (
	oidPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidDelta = asn1.ObjectIdentifier{2, 5, 29, 27}
	local    = &origin.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
)

func pool(all ...*identity) *x509.CertPool {
	p := x509.NewCertPool()
	for _, i := range all {
		p.AddCert(i.cert)
	}
	return p
}

// settled is a judgement, or the next one, if what it takes was too slow to come on a busy machine.
func settled(j *origin.Judge, chain []*x509.Certificate, want flow.Fault) (got flow.Fault) {
	for range 5 {
		if got = j.Judge(chain, "shop.example", nil, time.Now()); got == want {
			break
		}
	}
	return got
}

// TestRevocation judges certificates whose issuers tell by lists and by responders what they have revoked, if they tell.
func TestRevocation(t *testing.T) {
	p, root := newPlaces(t), issue(t, nil, ca("Root", forLists))
	other := issue(t, nil, ca("Root", forLists)) // has the name alone
	sub := issue(t, root, ca("Sub", forLists, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(70) }, listed(p.put("/revoked-sub", crl(t, root, nil, 70)))))
	responder := issue(t, root, func(c *x509.Certificate) {
		c.Subject, c.ExtKeyUsage = pkix.Name{CommonName: "responder"}, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	})
	someone := issue(t, root, server())
	old := issue(t, root, func(c *x509.Certificate) {
		c.Subject, c.ExtKeyUsage = pkix.Name{CommonName: "old responder"}, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		expired(c)
	})
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + free.Addr().String() + "/"
	free.Close()
	full := p.put("/full", crl(t, root, nil, 5, 7, 9))
	const unsure = flow.RevocationUnknown
	for _, tt := range []struct {
		name       string
		leaf       *identity
		soft, hard flow.Fault
	}{
		{"tells nobody", issue(t, root, numbered(7)), "", ""},
		{"listed", issue(t, root, numbered(7, listed(full))), flow.Revoked, flow.Revoked},
		{"not listed", issue(t, root, numbered(8, listed(full))), "", ""},
		{"listed at the second place", issue(t, root, numbered(7, listed(p.URL+"/none", full))), flow.Revoked, flow.Revoked},
		{"the list is not there", issue(t, root, numbered(7, listed(p.URL+"/none"))), "", unsure},
		{"nobody is there", issue(t, root, numbered(7, listed(nobody))), "", unsure},
		{"an address that is not asked", issue(t, root, numbered(7, listed("ldap://x/", "https://127.0.0.1/x", "http://"))), "", unsure},
		{"the list is another authority's", issue(t, root, numbered(7, listed(p.put("/other", crl(t, other, nil, 7))))), "", unsure},
		{"the list is old", issue(t, root, numbered(7, listed(p.put("/old", crl(t, root, func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = now.Add(-2*time.Hour), now.Add(-time.Hour)
		}, 7))))), "", unsure},
		{"the list is about changes", issue(t, root, numbered(7, listed(p.put("/delta", crl(t, root, point(t, true, oidDelta, big.NewInt(1)), 7))))), "", unsure},
		{"the list is about others too", issue(t, root, numbered(7, listed(p.put("/indirect", crl(t, root, point(t, true, oidPoint, indirect{true}), 7))))), "", unsure},
		{"the list is about authorities alone", issue(t, root, numbered(7, listed(p.put("/cas", crl(t, root, point(t, true, oidPoint, onlyCAs{true}), 7))))), "", unsure},
		{"the list is that of another place", issue(t, root, numbered(7, listed(p.put("/part", crl(t, root, point(t, true, oidPoint, at(p.URL+"/part2"))))))), "", unsure},
		{"the list is that of its place", issue(t, root, numbered(7, listed(p.put("/part3", crl(t, root, point(t, true, oidPoint, at(p.URL+"/part3")), 7))))), flow.Revoked, flow.Revoked},
		{"the list is nonsense", issue(t, root, numbered(7, listed(p.put("/nonsense", []byte("nonsense"))))), "", unsure},
		{"the list is endless", issue(t, root, numbered(7, listed(p.handle("/endless", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(zeros{}, 9<<20))
		})))), "", unsure},
		{"listed above", issue(t, sub, numbered(8)), flow.Revoked, flow.Revoked},
		{"revoked by its responder", issue(t, root, numbered(10, answered(p.put("/10", response(t, root, nil, 10, ocsp.Revoked))))), flow.Revoked, flow.Revoked},
		{"good by its responder", issue(t, root, numbered(11, answered(p.put("/11", response(t, root, nil, 11, ocsp.Good))))), "", ""},
		{"unknown to its responder", issue(t, root, numbered(12, answered(p.put("/12", response(t, root, nil, 12, ocsp.Unknown))))), "", unsure},
		{"unknown to its responder, listed", issue(t, root, numbered(9, answered(p.put("/9", response(t, root, nil, 9, ocsp.Unknown))), listed(full))), flow.Revoked, flow.Revoked},
		{"revoked by who may answer", issue(t, root, numbered(13, answered(p.put("/13", response(t, root, responder, 13, ocsp.Revoked))))), flow.Revoked, flow.Revoked},
		{"good by who may answer", issue(t, root, numbered(14, answered(p.put("/14", response(t, root, responder, 14, ocsp.Good))))), "", ""},
		{"good by a server of the same authority", issue(t, root, numbered(15, answered(p.put("/15", response(t, root, someone, 15, ocsp.Good))))), "", unsure},
		{"good by who might answer once", issue(t, root, numbered(16, answered(p.put("/16", response(t, root, old, 16, ocsp.Good))))), "", unsure},
		{"good, but about another number", issue(t, root, numbered(17, answered(p.put("/17", response(t, root, nil, 11, ocsp.Good))))), "", unsure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			chain := []*x509.Certificate{tt.leaf.cert, sub.cert}
			for mode, want := range map[origin.Revocation]flow.Fault{origin.Off: "", origin.Stapled: "", origin.Soft: tt.soft, origin.Hard: tt.hard} {
				judge := origin.NewOnline(pool(root), origin.Online{Guard: local, Revocation: mode}, testkit.Logger(t))
				for range 2 {
					if got := settled(judge, chain, want); got != want {
						t.Errorf("%s: got %q, want %q", mode, got, want)
					}
				}
				guarded := origin.NewOnline(pool(root), origin.Online{Guard: &origin.Guard{}, Revocation: mode}, testkit.Logger(t))
				if got := guarded.Judge(chain, "shop.example", nil, now); got == flow.Revoked {
					t.Errorf("%s: it has asked a guarded address", mode)
				}
			}
		})
	}
}

// zeros is endless.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestStaplesOfStrangers has servers bring responses that are signed by another certificate of the same authority.
func TestStaplesOfStrangers(t *testing.T) {
	root := issue(t, nil, ca("Root"))
	someone := issue(t, root, server())
	leaf := issue(t, root, numbered(7, stapled))
	if got := origin.NewJudge(pool(root)).Judge([]*x509.Certificate{leaf.cert}, "shop.example", response(t, root, someone, 7, ocsp.Good), now); got != flow.NoStaple {
		t.Errorf("got %q", got)
	}
}

// TestMissingCertificates judges chains with holes, which can be filled or not.
func TestMissingCertificates(t *testing.T) {
	p, root := newPlaces(t), issue(t, nil, ca("Root"))
	upper := issue(t, root, ca("Upper"))
	lower := issue(t, upper, ca("Lower", above(p.put("/upper", upper.cert.Raw))))
	stranger := issue(t, nil, ca("Stranger"))
	under := issue(t, stranger, ca("Under", above(p.put("/stranger", stranger.cert.Raw))))
	loop := issue(t, stranger, ca("Loop", above(p.URL+"/loop")))
	p.put("/loop", loop.cert.Raw)
	fake := issue(t, nil, ca("Upper")) // has the name alone
	for _, tt := range []struct {
		name  string
		chain []*x509.Certificate
		want  flow.Fault
	}{
		{"one is missing", []*x509.Certificate{issue(t, upper, server(above(p.URL+"/upper"))).cert}, ""},
		{"two are missing", []*x509.Certificate{issue(t, lower, server(above(p.put("/lower", lower.cert.Raw)))).cert}, ""},
		{"the upper one is missing", []*x509.Certificate{issue(t, lower, server()).cert, lower.cert}, ""},
		{"in the second place", []*x509.Certificate{issue(t, upper, server(above(p.URL+"/none", p.URL+"/upper"))).cert}, ""},
		{"nobody tells", []*x509.Certificate{issue(t, upper, server()).cert}, flow.Untrusted},
		{"another one is there", []*x509.Certificate{issue(t, upper, server(above(p.URL+"/lower"))).cert}, flow.Untrusted},
		{"an impostor is there", []*x509.Certificate{issue(t, upper, server(above(p.put("/fake", fake.cert.Raw)))).cert}, flow.Untrusted},
		{"nonsense is there", []*x509.Certificate{issue(t, upper, server(above(p.put("/text", []byte("nonsense"))))).cert}, flow.Untrusted},
		{"a stranger's, root and all", []*x509.Certificate{issue(t, under, server(above(p.put("/under", under.cert.Raw)))).cert}, flow.Untrusted},
		{"endless", []*x509.Certificate{issue(t, loop, server(above(p.URL+"/loop"))).cert}, flow.Untrusted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, complete := range []bool{true, false} {
				want := tt.want
				if !complete {
					want = flow.Untrusted
				}
				judge := origin.NewOnline(pool(root), origin.Online{Guard: local, Complete: complete, Revocation: origin.Off}, testkit.Logger(t))
				if got := settled(judge, tt.chain, want); got != want {
					t.Errorf("completed %v: got %q, want %q", complete, got, want)
				}
			}
		})
	}
	before := p.asked.Load()
	guarded := origin.NewOnline(pool(root), origin.Online{Guard: &origin.Guard{}, Complete: true}, testkit.Logger(t))
	if got := guarded.Judge([]*x509.Certificate{issue(t, upper, server(above(p.URL+"/upper"))).cert}, "shop.example", nil, now); got != flow.Untrusted || p.asked.Load() != before {
		t.Errorf("a guarded address was asked: %q", got)
	}
}

// TestPrivateNetworksAreNotAsked has strangers point to a private network, which the gateway must not connect to for them.
func TestPrivateNetworksAreNotAsked(t *testing.T) {
	var log lines
	root := issue(t, nil, ca("Root"))
	upper := issue(t, root, ca("Upper"))
	judge := origin.NewOnline(pool(root), origin.Online{Guard: &origin.Guard{}, Complete: true}, slog.New(slog.NewTextHandler(&log, nil)))
	for _, place := range []string{"http://10.1.2.3/", "http://192.168.1.1:8080/", "http://[fd00::1]/", "http://[::ffff:10.1.2.3]/"} {
		judge.Judge([]*x509.Certificate{issue(t, upper, server(above(place))).cert}, "shop.example", nil, now)
	}
	if n := strings.Count(log.String(), origin.ErrGuarded.Error()); n != 4 {
		t.Errorf("%d were kept from it: %s", n, log.String())
	}
}

// lines keeps what is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestSlowList has a list come later than a client would wait. The next one finds it, and nobody asks for it again.
func TestSlowList(t *testing.T) {
	p, root := newPlaces(t), issue(t, nil, ca("Root", forLists))
	arrive, sent := make(chan struct{}), make(chan struct{})
	text := crl(t, root, nil, 7)
	leaf := issue(t, root, numbered(7, listed(p.handle("/slow", func(w http.ResponseWriter, _ *http.Request) {
		<-arrive
		_, _ = w.Write(text)
		close(sent)
	}))))
	judge := origin.NewOnline(pool(root), origin.Online{Guard: local, Revocation: origin.Soft}, testkit.Logger(t))
	ask := func() flow.Fault {
		return judge.Judge([]*x509.Certificate{leaf.cert}, "shop.example", nil, now)
	}
	if got := ask(); got != "" {
		t.Errorf("while the list is under way: %q", got)
	}
	began := time.Now()
	for range 20 { // who would wait for 40 seconds, if each did so anew
		if got := ask(); got != "" || time.Since(began) > 20*time.Second {
			t.Fatalf("later ones: %q, after %s", got, time.Since(began))
		}
	}
	close(arrive)
	<-sent
	for end := time.Now().Add(20 * time.Second); ask() != flow.Revoked; {
		if time.Now().After(end) {
			t.Fatal("the list was not kept")
		}
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
