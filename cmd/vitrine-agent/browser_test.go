package main_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// What browsers are shown: a site, the name that its encrypted hellos show, and where names are resolved. The address is one for
// documentation (RFC 5737): where a private one does not answer by QUIC, Firefox waits long before it tries TCP.
const (
	siteName, outerName = "shop.example", "public.example"
	siteIP              = "198.51.100.2"
	resolver            = siteIP + ":9053"
)

// web is a site that offers all that browsers can do, with a browser on one side of the gateway and the site on the other.
type web struct {
	*routed
	public *pair // vouches for the site
	ech    []byte
	echKey *ecdh.PrivateKey
	quic   bool // the site is announced to speak QUIC
}

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (p *pair) tls() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{p.cert.Raw}, PrivateKey: p.key}
}

// newPair makes a certificate that the parent signs or, if that is nil, its own key.
func newPair(t *testing.T, parent *pair, change func(*x509.Certificate)) *pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	change(c)
	by := &pair{c, key}
	if parent != nil {
		by = parent
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, &key.PublicKey, by.key)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	return &pair{cert, key}
}

// files writes both in PEM.
func (p *pair) files(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	secret, err := x509.MarshalPKCS8PrivateKey(p.key)
	check(t, err)
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	check(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}), 0o600))
	check(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return cert, key
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWeb(t *testing.T) *web {
	t.Helper()
	w := &web{routed: newRouted(t)}
	w.configureSite(t)
	w.public = newPair(t, nil, func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.KeyUsage = pkix.Name{CommonName: "Public CA"}, true, x509.KeyUsageCertSign
	})
	w.public.files(t, w.dir, "public")
	w.echKey, w.ech = newECH(t)
	check(t, os.WriteFile(filepath.Join(w.dir, "gateway.yaml"), []byte(`
listen: {transparent: 15443}
authorities: [{certificate: ca.pem, key: ca.key}]
trust: {system: false, roots: [public.pem]}
rules:
  policies:
  - {id: all, scopes: [{id: web, sources: [10.77.1.0/24], destinations: [198.51.100.0/24], destination_ports: [443/443]}]}
`), 0o600))
	w.handle(t, w.listen(t, resolver), &tls.Config{}, http.HandlerFunc(w.resolve))
	return w
}

// configureSite gives the origin's machine the site's address.
func (w *web) configureSite(t *testing.T) {
	t.Helper()
	for ns, args := range map[*testkit.Namespace][]string{
		w.origin: {"addr", "add", siteIP, "dev", "eth0"},
		w.router: {"route", "add", siteIP, "via", "10.77.2.2"},
	} {
		if out, err := ns.Command(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
}

func (w *web) listen(t *testing.T, address string) (l net.Listener) {
	t.Helper()
	var err error
	w.origin.Do(t, func() { l, err = net.Listen("tcp", address) })
	check(t, err)
	return l
}

// identity is the site's certificate.
func (w *web) identity(t *testing.T) tls.Certificate {
	t.Helper()
	return newPair(t, w.public, forSite).tls()
}

func forSite(c *x509.Certificate) {
	c.Subject, c.DNSNames = pkix.Name{CommonName: siteName}, []string{siteName, outerName}
	c.IPAddresses, c.ExtKeyUsage = []net.IP{net.ParseIP(siteIP)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
}

// handle answers requests until the end of the test.
func (w *web) handle(t *testing.T, l net.Listener, cfg *tls.Config, h http.Handler) {
	t.Helper()
	cfg.Certificates = []tls.Certificate{w.identity(t)}
	s := &http.Server{Handler: h, TLSConfig: cfg, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error, 1)
	go func() { done <- s.ServeTLS(l, "", "") }()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
}

// page tells how it was asked for, and what the browser says about it: the protocol, and the milliseconds until the answer.
func page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Alt-Svc", `h3=":443"; ma=86400`)
	fmt.Fprintf(w, `<p id=t></p><script>
let n = performance.getEntriesByType("navigation")[0]
document.getElementById("t").textContent = "proto=%s ech=%t certificates=%d saw=" + n.nextHopProtocol + " ms=" + Math.round(n.responseStart - n.startTime)
</script>`, r.Proto, r.TLS.ECHAccepted, len(r.TLS.PeerCertificates))
}

// newECH makes a key for encrypted hellos and its ECHConfig (RFC 9849 §4).
func newECH(t *testing.T) (*ecdh.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	check(t, err)
	contents := []byte{1, 0, 0x20, 0, 32} // config id, DHKEM(X25519)
	contents = append(contents, key.PublicKey().Bytes()...)
	contents = append(contents, 0, 4, 0, 1, 0, 1, 64, byte(len(outerName))) // HKDF-SHA256 with AES-128-GCM, longest name
	contents = append(append(contents, outerName...), 0, 0)
	return key, append(binary.BigEndian.AppendUint16([]byte{0xfe, 0x0d}, uint16(len(contents))), contents...)
}

// resolve answers DNS over HTTPS (RFC 8484): there is no name but the site's, which has an HTTPS record (RFC 9460) too.
func (w *web) resolve(rw http.ResponseWriter, r *http.Request) {
	question, err := io.ReadAll(io.LimitReader(r.Body, 4096))
	var m dnsmessage.Message
	if err != nil || m.Unpack(question) != nil || len(m.Questions) != 1 {
		http.Error(rw, "no question", http.StatusBadRequest)
		return
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	head := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}
	switch {
	case q.Name.String() != siteName+".":
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: [4]byte(net.ParseIP(siteIP).To4())}})
	case q.Type == dnsmessage.TypeHTTPS:
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: w.service()})
	}
	answer, err := m.Pack()
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "application/dns-message")
	_, _ = rw.Write(answer)
}

func (w *web) service() *dnsmessage.HTTPSResource {
	alpn := "\x02h2"
	if w.quic {
		alpn = "\x02h3" + alpn
	}
	s := &dnsmessage.HTTPSResource{SVCBResource: dnsmessage.SVCBResource{Priority: 1, Target: dnsmessage.MustNewName(".")}}
	s.SetParam(dnsmessage.SVCParamALPN, []byte(alpn))
	if w.ech != nil {
		s.SetParam(dnsmessage.SVCParamECH, append(binary.BigEndian.AppendUint16(nil, uint16(len(w.ech))), w.ech...))
	}
	return s
}

// browser is a profile of Chromium that trusts the site's authority and the gateway's.
type browser struct {
	web  *web
	home string
}

func (w *web) browser(t *testing.T) *browser {
	t.Helper()
	b := &browser{w, t.TempDir()}
	db := "sql:" + filepath.Join(b.home, ".pki/nssdb")
	check(t, os.MkdirAll(filepath.Join(b.home, ".pki/nssdb"), 0o700))
	check(t, os.MkdirAll(filepath.Join(b.home, "policies/managed"), 0o755))
	b.run(t, "certutil", "-N", "-d", db, "--empty-password")
	for name, file := range map[string]string{"public": "public.pem", "gateway": "ca.pem"} {
		b.run(t, "certutil", "-A", "-d", db, "-n", name, "-t", "C,,", "-i", filepath.Join(w.dir, file))
	}
	b.policy(t, map[string]any{})
	return b
}

func (b *browser) run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, errs, status := command(t, name, args...); status != 0 {
		t.Fatalf("%s %v: %s%s", name, args, out, errs)
	}
}

// policy sets the browser's policies, as an administrator does: where it resolves names, and more.
func (b *browser) policy(t *testing.T, policies map[string]any) {
	t.Helper()
	policies["DnsOverHttpsMode"], policies["DnsOverHttpsTemplates"] = "secure", "https://"+resolver+"/dns-query"
	text, err := json.Marshal(policies)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(b.home, "policies/managed/test.json"), text, 0o644))
}

// open returns what the page at a URL shows. Chromium sometimes ends without a word: then it is asked again.
func (b *browser) open(t *testing.T, url string, flags ...string) string {
	t.Helper()
	var out, errs string
	for range tries {
		if out, errs = b.dump(t, url, flags...); out != "" {
			break
		}
	}
	got := shown.FindString(out)
	if got == "" {
		t.Fatalf("chromium shows %q\n%s", out, errs)
	}
	return got
}

// dump returns the page at a URL, as Chromium has it once it is loaded, and what Chromium says about it. Policies are in force in its own mount
// namespace.
func (b *browser) dump(t *testing.T, url string, flags ...string) (page, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := append([]string{"-c", `mount --bind "$HOME" /etc/chromium && exec "$0" "$@"`, testkit.Need(t, "chromium"),
		"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir=" + filepath.Join(b.home, "profile"), "--dump-dom", "--timeout=30000"}, flags...)
	cmd := b.web.client.Command(ctx, "sh", append(args, url)...)
	cmd.Env = append(os.Environ(), "HOME="+b.home)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v: %s", err, errs.Bytes())
	}
	return out.String(), errs.String()
}

var shown = regexp.MustCompile(`proto=[^<]*`)

// records reads what the gateway has printed.
func records(t *testing.T, printed string) (all []*event.Record) {
	t.Helper()
	for line := range strings.Lines(printed) {
		r := new(event.Record)
		if err := json.Unmarshal([]byte(line), r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, r)
	}
	return all
}

// tries is how often a page is opened: Chromium waits for the site's HTTPS record, which has the key, for some milliseconds only.
const tries = 6

// TestChromiumECH has Chromium hide the site's name, as the site's DNS record offers. Without the gateway the site learns it from the hidden
// hello; with it, Chromium finds that this is not possible, and asks again in the open.
func TestChromiumECH(t *testing.T) {
	w := newWeb(t)
	w.handle(t, w.listen(t, siteIP+":443"), &tls.Config{EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{{Config: w.ech, PrivateKey: w.echKey.Bytes()}}}, http.HandlerFunc(page))
	b := w.browser(t)
	visit := func(when string, ech bool, enough func() bool) {
		t.Helper()
		got := ""
		for range tries {
			if got = b.open(t, "https://"+siteName+"/"+when); strings.HasPrefix(got, fmt.Sprintf("proto=HTTP/2.0 ech=%t ", ech)) && enough() {
				return
			}
		}
		t.Fatalf("%s: %q", when, got)
	}
	visit("before", true, func() bool { return true })
	g := w.start(t)
	visit("seen", false, func() bool { return strings.Contains(g.stdout.String(), string(flow.EncryptedHello)) })
	printed := g.end(t)
	wantHelloRejected(t, printed)
}

// wantHelloRejected checks that an encrypted hello was refused, that the browser came again in the open, and that it is told so.
func wantHelloRejected(t *testing.T, printed string) {
	t.Helper()
	var rejected, seen int
	for _, r := range records(t, printed) {
		switch {
		case r.Kind == event.KindTLS && r.Decryption.Reason == flow.EncryptedHello && r.TLS.SNI == outerName:
			rejected++
		case r.Kind == event.KindHTTP && r.HTTP.URL == "/seen" && r.TLS.SNI == siteName && r.Decryption.State == flow.DecryptedYes:
			seen++
		case r.Kind == event.KindTLS && r.Decryption.Reason == flow.ClientRefused:
			t.Errorf("taken for a refusal of the certificate: %+v", r.TLS)
		}
	}
	if rejected == 0 || seen == 0 {
		t.Errorf("told %d rejected hellos and %d requests: %s", rejected, seen, printed)
	}
}

// TestChromiumQUIC has Chromium load a page of a site that it knows to speak HTTP/3. Without the gateway it comes by QUIC; with it, Chromium
// is told that nobody listens there, and takes TCP at once.
func TestChromiumQUIC(t *testing.T) {
	w := newWeb(t)
	w.ech, w.quic = nil, true
	w.handle(t, w.listen(t, siteIP+":443"), &tls.Config{}, http.HandlerFunc(page))
	w.serveQUIC(t, http.HandlerFunc(page))
	b := w.browser(t)
	// Over QUIC, Chromium trusts roots that people have added only for hosts that it is told to use QUIC with, by whatever port.
	force := "--origin-to-force-quic-on=" + siteName
	got := b.open(t, "https://"+siteName+"/before", force+":443")
	if !strings.HasPrefix(got, "proto=HTTP/3.0") || !strings.Contains(got, "saw=h3") {
		t.Fatalf("without the gateway: %q", got)
	}
	before := w.refusals(t)
	g := w.start(t)
	got = b.open(t, "https://"+siteName+"/seen", force+":1")
	if !strings.HasPrefix(got, "proto=HTTP/2.0") || !strings.Contains(got, "saw=h2") {
		t.Errorf("with the gateway: %q", got)
	}
	if w.refusals(t) == before {
		t.Error("it has not tried QUIC")
	}
	t.Logf("with the gateway: %s", got)
	wantSeen(t, g.end(t))
}

// wantSeen checks that the page seen was told of, by HTTP/2.
func wantSeen(t *testing.T, printed string) {
	t.Helper()
	if !slices.ContainsFunc(records(t, printed), func(r *event.Record) bool {
		return r.Kind == event.KindHTTP && r.HTTP.URL == "/seen" && r.HTTP.Version == "HTTP/2"
	}) {
		t.Errorf("the request was not told: %s", printed)
	}
}

func (w *web) serveQUIC(t *testing.T, h http.Handler) {
	t.Helper()
	var datagrams net.PacketConn
	var err error
	w.origin.Do(t, func() { datagrams, err = net.ListenPacket("udp", siteIP+":443") })
	check(t, err)
	s := &http3.Server{Handler: h, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{w.identity(t)}})}
	done := make(chan error, 1)
	go func() { done <- s.Serve(datagrams) }()
	t.Cleanup(func() {
		s.Close()
		datagrams.Close()
		<-done
	})
}

// TestChromiumAnnouncedQUIC has Chromium ask a site again and again that announces HTTP/3 with each answer, and does not speak it. Without the
// gateway Chromium tries; with it, it never hears of it.
func TestChromiumAnnouncedQUIC(t *testing.T) {
	w := newWeb(t)
	w.ech = nil
	w.handle(t, w.listen(t, siteIP+":443"), &tls.Config{NextProtos: []string{"http/1.1"}}, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Connection", "close") // so that there is a choice each time
		if page(rw, r); r.URL.Path != "/again" {
			fmt.Fprint(rw, `<script>for (let i = 0; i < 5; i++) { let x = new XMLHttpRequest(); x.open("GET", "/again", false); x.send() }</script>`)
		}
	}))
	visit := func(path string) (tried bool) {
		t.Helper()
		before := w.refusals(t)
		if got := w.browser(t).open(t, "https://"+siteName+path); !strings.HasPrefix(got, "proto=HTTP/1.1") {
			t.Errorf("%s: %q", path, got)
		}
		return w.refusals(t) != before
	}
	if !visit("/before") {
		t.Error("without the gateway it has not tried QUIC")
	}
	g := w.start(t)
	if visit("/seen") {
		t.Error("with the gateway it has tried QUIC")
	}
	told := 0
	for _, r := range records(t, g.end(t)) {
		if r.Kind == event.KindHTTP && r.HTTP.URL == "/again" && slices.Contains(r.HTTP.Response.Headers, `Alt-Svc: h3=":443"; ma=86400`) {
			told++
		}
	}
	if told != 5 {
		t.Errorf("%d of 5 requests were told, with what the site announced", told)
	}
}

// refusals is how often the client's machine was told by ICMP that it does not reach somebody.
func (w *web) refusals(t *testing.T) string {
	t.Helper()
	out, err := w.client.Command(t.Context(), "cat", "/proc/net/snmp").Output()
	check(t, err)
	lines := regexp.MustCompile(`(?m)^Icmp: .*$`).FindAllString(string(out), -1)
	if len(lines) != 2 {
		t.Fatalf("the kernel counts %q", out)
	}
	return strings.Fields(lines[1])[slices.Index(strings.Fields(lines[0]), "InDestUnreachs")]
}

// TestChromiumClientCertificate has Chromium show a certificate to a site that asks for one. The gateway hands the connection on, at the
// first try as later.
func TestChromiumClientCertificate(t *testing.T) {
	w := newWeb(t)
	w.ech = nil
	w.handle(t, w.listen(t, siteIP+":443"), &tls.Config{ClientAuth: tls.RequireAnyClientCert}, http.HandlerFunc(page))
	b := w.browser(t)
	me := newPair(t, w.public, func(c *x509.Certificate) {
		c.Subject, c.ExtKeyUsage = pkix.Name{CommonName: "Ann"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	cert, key := me.files(t, b.home, "ann")
	bundle := filepath.Join(b.home, "ann.p12")
	b.run(t, "openssl", "pkcs12", "-export", "-in", cert, "-inkey", key, "-passout", "pass:", "-out", bundle)
	b.run(t, "pk12util", "-i", bundle, "-d", "sql:"+filepath.Join(b.home, ".pki/nssdb"), "-W", "")
	b.policy(t, map[string]any{"AutoSelectCertificateForUrls": []string{`{"pattern":"https://` + siteName + `","filter":{}}`}})
	g := w.start(t)
	for _, path := range []string{"/first", "/later"} {
		if got := b.open(t, "https://"+siteName+path); !strings.Contains(got, "certificates=1") {
			t.Errorf("%s: %q", path, got)
		}
	}
	printed := g.end(t)
	bypassed := 0
	for _, r := range records(t, printed) {
		switch {
		case r.Kind == event.KindHTTP || r.Kind == event.KindTLS && r.Policy.Action != flow.Bypass:
			t.Errorf("told %s, %+v, %+v", r.Kind, r.Policy, r.Decryption)
		case r.Kind == event.KindTLS && r.Decryption.Reason == flow.ClientCertificate:
			bypassed++
		}
	}
	if bypassed < 2 {
		t.Errorf("%d connections were bypassed: %s", bypassed, printed)
	}
}
