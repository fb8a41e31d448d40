package main_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// firefoxSettings have Firefox resolve names at the site, use what its HTTPS records say, give QUIC a second, which a busy machine may need,
// before it takes TCP, and ask nobody else for anything.
const firefoxSettings = `user_pref("network.trr.mode", 3);
user_pref("network.trr.uri", "https://` + resolver + `/dns-query");
user_pref("network.trr.allow-rfc1918", true);
user_pref("network.trr.useGET", false);
user_pref("network.dns.echconfig.enabled", true);
user_pref("network.http.http3.disable_when_third_party_roots_found", false);
user_pref("network.dns.httpssvc.http3_fast_fallback_timeout", 1000);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "https://localhost:1");
user_pref("app.update.enabled", false);
user_pref("extensions.update.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
`

// firefox is a site that Firefox is to load pages of.
type firefox struct {
	*web
	visits chan string
}

func newFirefox(t *testing.T) *firefox {
	t.Helper()
	return &firefox{newWeb(t), make(chan string, 100)}
}

// ServeHTTP notes how a page was asked for.
func (f *firefox) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	f.visits <- fmt.Sprintf("%s %s ech=%t", r.URL.Path, r.Proto, r.TLS.ECHAccepted)
}

// visit opens a page in a new profile, which trusts the site's authority and the gateway's, until the site was asked in the way wanted and
// enough says so.
func (f *firefox) visit(t *testing.T, path, want string, enough func() bool) {
	t.Helper()
	b := &browser{f.web, t.TempDir()}
	b.run(t, "certutil", "-N", "-d", "sql:"+b.home, "--empty-password")
	for name, file := range map[string]string{"public": "public.pem", "gateway": "ca.pem"} {
		b.run(t, "certutil", "-A", "-d", "sql:"+b.home, "-n", name, "-t", "C,,", "-i", filepath.Join(f.dir, file))
	}
	check(t, os.WriteFile(filepath.Join(b.home, "user.js"), []byte(firefoxSettings), 0o600))
	cmd := f.client.Command(t.Context(), testkit.Need(t, "firefox-esr"), "--headless", "--no-remote", "--profile", b.home, "https://"+siteName+path)
	cmd.Env = append(os.Environ(), "HOME="+b.home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	check(t, cmd.Start())
	defer func() { // with its helpers, which write to the profile
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}()
	var got []string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for len(f.visits) > 0 {
			got = append(got, <-f.visits)
		}
		if slices.Contains(got, path+" "+want) && enough() {
			return
		}
	}
	t.Fatalf("it came by %q, want %q", got, path+" "+want)
}

func always() bool { return true }

// TestFirefoxECH has Firefox hide the site's name, as TestChromiumECH has Chromium.
func TestFirefoxECH(t *testing.T) {
	f := newFirefox(t)
	f.handle(t, f.listen(t, siteIP+":443"), &tls.Config{EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{{Config: f.ech, PrivateKey: f.echKey.Bytes()}}}, f)
	f.visit(t, "/before", "HTTP/2.0 ech=true", always)
	g := f.start(t)
	f.visit(t, "/seen", "HTTP/2.0 ech=false", func() bool { return strings.Contains(g.stdout.String(), string(flow.EncryptedHello)) })
	printed := g.end(t)
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

// TestFirefoxQUIC has Firefox load a page of a site whose DNS record offers HTTP/3. Without the gateway it comes by QUIC; with it, Firefox is
// told that nobody listens there, and takes TCP.
func TestFirefoxQUIC(t *testing.T) {
	f := newFirefox(t)
	f.ech, f.quic = nil, true
	f.handle(t, f.listen(t, siteIP+":443"), &tls.Config{}, f)
	f.serveQUIC(t, f)
	f.visit(t, "/before", "HTTP/3.0 ech=false", always)
	before := f.refusals(t)
	g := f.start(t)
	f.visit(t, "/seen", "HTTP/2.0 ech=false", func() bool { return f.refusals(t) != before })
	if printed := g.end(t); !slices.ContainsFunc(records(t, printed), func(r *event.Record) bool {
		return r.Kind == event.KindHTTP && r.HTTP.URL == "/seen" && r.HTTP.Version == "HTTP/2"
	}) {
		t.Errorf("the request was not told: %s", printed)
	}
}
